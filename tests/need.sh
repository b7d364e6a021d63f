#!/bin/sh
# Makes sure that programs, files and Python modules are there.
# In: needs as COMMAND:PACKAGE, /FILE:PACKAGE or NAME?MODULE:PACKAGE (a Python module). Out: as root on a Debian-like machine, what lacks is
# installed; otherwise the one line to run is printed, exit 1.
set -u
missing=
for need in "$@"; do
    package=${need##*:}
    what=${need%:*}
    case $what in
        /*) [ -e "$what" ] && continue ;;
        *\?*) # of the first python3 on the path, or of the system's, which is where packages go
            for python in python3 /usr/bin/python3; do $python -c "import ${what#*\?}" 2>/dev/null && continue 2; done ;;
        *) command -v "$what" >/dev/null 2>&1 && continue ;;
    esac
    missing="$missing $package"
done
[ -z "$missing" ] && exit 0
if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing:$missing"
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null && exit 0
fi
echo "missing:$missing" >&2
echo "run this line, then try again:  sudo apt-get install -y$missing" >&2
exit 1
