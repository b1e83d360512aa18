# `cpack --config build/release/CPackConfig.cmake` makes a Debian package of what `cmake --install` installs:
# programs, pages, completions and systemd units. The units are neither enabled nor started: both want a
# configuration in /etc/gangway first.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME gangway)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "batch scheduler for shared clusters in which a job is a container")
set(CPACK_PACKAGE_CONTACT "Gangway maintainers <maintainers@example.org>")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "iproute2, util-linux, bash-completion")
set(CPACK_STRIP_FILES ON)
include(CPack)
