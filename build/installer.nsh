; Removes what the program wrote for this user besides its data: start at login and the zimage: links. An update keeps both.
!macro customUnInstall
  ${ifNot} ${isUpdated}
    DeleteRegValue HKCU "Software\Microsoft\Windows\CurrentVersion\Run" "z-image-turbo-studio"
    DeleteRegValue HKCU "Software\Microsoft\Windows\CurrentVersion\Explorer\StartupApproved\Run" "z-image-turbo-studio"
    DeleteRegKey HKCU "Software\Classes\zimage"
    nsExec::Exec 'powershell.exe -NoProfile -ExecutionPolicy Bypass -File "$INSTDIR\resources\bin\user-path.ps1" remove'
    Pop $0
  ${endIf}
!macroend

; The command zimage. PowerShell writes the PATH, since a long one does not fit into a variable of NSIS.
!macro customInstall
  nsExec::Exec 'powershell.exe -NoProfile -ExecutionPolicy Bypass -File "$INSTDIR\resources\bin\user-path.ps1" add'
  Pop $0
!macroend
