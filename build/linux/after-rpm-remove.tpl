#!/bin/sh
# rpm runs this after it removed this version's files: also after an upgrade, when the next version is already set up.
# Its argument is the number of versions that remain. (electron-builder's own script would remove the next version's link and AppArmor profile.)
if [ "$1" != 0 ]; then
  exit 0
fi

if command -v update-alternatives >/dev/null; then
  update-alternatives --remove '${executable}' '/opt/${sanitizedProductName}/${executable}'
else
  rm -f '/usr/bin/${executable}'
fi

profile='/etc/apparmor.d/${executable}'
if [ -f "$profile" ]; then
  if command -v apparmor_parser >/dev/null; then
    apparmor_parser --remove "$profile" || true
  fi
  rm -f "$profile"
fi
