; Removes what the program wrote for this user besides its data: start at login and the zimage: links. An update keeps both.
!macro customUnInstall
  ${ifNot} ${isUpdated}
    DeleteRegValue HKCU "Software\Microsoft\Windows\CurrentVersion\Run" "z-image-turbo-studio"
    DeleteRegValue HKCU "Software\Microsoft\Windows\CurrentVersion\Explorer\StartupApproved\Run" "z-image-turbo-studio"
    DeleteRegKey HKCU "Software\Classes\zimage"
  ${endIf}
!macroend
