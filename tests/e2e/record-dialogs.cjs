// Read by Electron before the app: message boxes answer themselves, and what they say goes into the file that NOTICES_FILE names.
const { appendFileSync } = require('node:fs');

if (process.type === 'browser') {
  const { dialog } = require('electron');
  dialog.showMessageBox = async (...args) => {
    const { message, detail = '' } = args.at(-1);
    appendFileSync(process.env.NOTICES_FILE, `${message}\n${detail}\n`);
    return { response: 0, checkboxChecked: false };
  };
}
