; What the program has written for this user besides its data: the start at login and the zimage: links. An update keeps both.
!macro customUnInstall
  ${ifNot} ${isUpdated}
    DeleteRegValue HKCU "Software\Microsoft\Windows\CurrentVersion\Run" "z-image-turbo-studio"
    DeleteRegValue HKCU "Software\Microsoft\Windows\CurrentVersion\Explorer\StartupApproved\Run" "z-image-turbo-studio"
    DeleteRegKey HKCU "Software\Classes\zimage"
  ${endIf}
!macroend
