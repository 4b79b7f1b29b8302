@echo off
rem start.ps1 for Windows, which blocks PowerShell scripts by default
powershell -NoProfile -ExecutionPolicy Bypass -File "%~dp0start.ps1" %*
exit /b %ERRORLEVEL%
