# Adds the folder of zimage.exe to this user's PATH, or removes it: user-path.ps1 add|remove
param([Parameter(Mandatory)][ValidateSet('add', 'remove')][string]$action)
$folder = $PSScriptRoot
# unexpanded, so that variables in the other entries stay variables
$path = (Get-Item 'HKCU:\Environment').GetValue('Path', '', 'DoNotExpandEnvironmentNames')
$entries = @($path -split ';' | Where-Object { $_ -and $_ -ne $folder })
if ($action -eq 'add') { $entries += $folder }
Set-ItemProperty 'HKCU:\Environment' -Name Path -Value ($entries -join ';') -Type ExpandString
# tells running programs that the environment has changed
[Environment]::SetEnvironmentVariable('ZIMAGE_PATH', $null, 'User')
