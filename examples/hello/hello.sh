#!/bin/sh
#JOB --job-name=hello
#JOB --time=1:00
#JOB --output=hello.out
# Runs on the node's own file system, as any Slurm script would; #SBATCH lines work as well.
echo "Hello from job $JOB_ID on $(hostname), as $(id -un) in $(pwd)"
