# Completion of Gangway's programs for bash: options and what they take, job ids, queues, nodes.
# Options are those that --help prints, so that this file never lags behind the programs.

_gangway_options() {
  local list=--help
  [ "$1" = jsubmit ] && list=--list-options
  "$1" "$list" 2>/dev/null | sed '/^examples:/,$d' | grep -oE -- '--[a-z][a-z-]*|(^|[ ,])-[A-Za-z]([ ,]|$)' |
    tr -d ' ,' | sort -u
}

# Ids of the user's own jobs and workflows; nothing, and at once, where no scheduler answers.
_gangway_ids() {
  local who=--me
  [ "$1" = jhist ] && who='--me -t all'
  timeout 1 jqueue -h $who -o %i 2>/dev/null | tr -d ' '
}

_gangway_queues() {
  timeout 1 jqueue -h -a -o %P 2>/dev/null | tr -d ' ' | sort -u
}

_gangway_nodes() {
  timeout 1 jnodes 2>/dev/null | sed 1d | cut -d' ' -f1
}

_gangway() {
  local program=${COMP_WORDS[0]##*/} word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}
  # bash parts words at "=": --queue=b is three of them.
  if [ "$word" = = ]; then
    word=
  elif [ "$before" = = ]; then
    before=${COMP_WORDS[COMP_CWORD-2]}
  fi
  COMPREPLY=()
  case $before in
    -p | --partition | --queue)
      COMPREPLY=($(compgen -W "$(_gangway_queues)" -- "$word")); return ;;
    -w | --nodelist | -x | --exclude | --node)
      if [ "$program" = jqueue ]; then
        COMPREPLY=($(compgen -W "$(_gangway_ids "$program")" -- "$word"))
      else
        COMPREPLY=($(compgen -W "$(_gangway_nodes)" -- "$word"))
      fi
      return ;;
    -j | --jobs)
      COMPREPLY=($(compgen -W "$(_gangway_ids "$program")" -- "$word")); return ;;
    -d | --dependency)
      COMPREPLY=($(compgen -W 'after: afterany: afterok: afternotok: singleton' -- "$word")); return ;;
    -S | --sort | --format | -o)
      case $program in
        jqueue | jhist)
          COMPREPLY=($(compgen -W 'jobid name username account partition state timeused timelimit numnodes
            numcpus nodelist reason starttime endtime submittime priority qos exitcode maxrss' -- "$word"))
          return ;;
        jnodes)
          COMPREPLY=($(compgen -W 'node state cpus used free memory freemem gres features reason jobs' \
            -- "$word"))
          return ;;
      esac
      if [ "$before" = --format ]; then
        COMPREPLY=($(compgen -W 'script workflow dagman wfcommons k8s compose' -- "$word")); return
      fi
      COMPREPLY=($(compgen -f -- "$word")); return ;;
    -t | --states)
      if [ "$program" = jnodes ]; then
        COMPREPLY=($(compgen -W 'idle mixed allocated draining drained suspect lost unknown' -- "$word"))
        return
      fi
      if [ "$program" != jsubmit ]; then
        COMPREPLY=($(compgen -W 'PD R CG CD F CA TO OOM NF all' -- "$word")); return
      fi ;;
    --mpi) COMPREPLY=($(compgen -W 'pmix none' -- "$word")); return ;;
    --open-mode) COMPREPLY=($(compgen -W 'append truncate' -- "$word")); return ;;
    --export) COMPREPLY=($(compgen -W 'ALL NONE' -- "$word")); return ;;
    -u | --user) COMPREPLY=($(compgen -u -- "$word")); return ;;
    -D | --chdir) COMPREPLY=($(compgen -d -- "$word")); return ;;
    # An image is a directory or an archive.
    --image | --output | -e | --error | -i | --input | --bind | --config | --store)
      COMPREPLY=($(compgen -f -- "$word")); return ;;
  esac
  if [ "${word#-}" != "$word" ]; then
    COMPREPLY=($(compgen -W "$(_gangway_options "$program")" -- "$word"))
    return
  fi
  case $program in
    jattach | jcancel | jhold | jrelease | jrequeue | jwait | jwhy | jqueue | jhist | jtail)
      COMPREPLY=($(compgen -W "$(_gangway_ids "$program")" -- "$word")) ;;
    gangway) COMPREPLY=($(compgen -W 'up down status doctor' -- "$word")) ;;
    jimage)
      if [ "$COMP_CWORD" = 1 ]; then
        COMPREPLY=($(compgen -W 'resolve inspect import export list verify rm gc build bootstrap tag untag images prune' -- "$word"))
      else
        COMPREPLY=($(compgen -f -- "$word"))
      fi ;;
    jnodes) COMPREPLY=($(compgen -W "$(_gangway_nodes)" -- "$word")) ;;
    *) COMPREPLY=($(compgen -f -- "$word")) ;;
  esac
}

complete -o filenames -F _gangway gangway jsubmit jrun jattach jqueue jcancel jhold jrelease jrequeue jwait jwhy \
  jnodes jhist jtail jctl jimage
