/** The words of tray, menu, notifications and dialogs. */
const english = {
  open: 'Open',
  newPicture: 'New picture',
  gallery: 'Gallery',
  settings: 'Settings…',
  pauseQueue: 'Pause the queue',
  resumeQueue: 'Go on with the queue',
  lastPictures: 'Last pictures',
  checkForUpdates: 'Check for updates…',
  updateOffered: (version: string) => `Version ${version} is available…`,
  updateFailedTitle: 'The update could not be installed',
  updateFailedDetail: (reason: string) => `The version that you have is unchanged and starts again. (${reason})`,
  quit: 'Quit',
  file: 'File',
  edit: 'Edit',
  view: 'View',
  help: 'Help',
  idle: 'Nothing to do',
  waiting: (jobs: number) => (jobs === 1 ? '1 picture in work' : `${jobs} pictures in work`),
  completedTitle: 'Your picture is ready',
  completedBody: 'Click to look at it.',
  failedTitle: 'A picture could not be made',
  quitTitle: 'Quit while pictures are being made?',
  quitDetail: (jobs: number) =>
    jobs === 1 ? 'One picture is not finished. It goes on at the next start.' : `${jobs} pictures are not finished. They go on at the next start.`,
  quitNow: 'Quit',
  stay: 'Go on',
  portTakenTitle: (port: number) => `Port ${port} is taken by another program`,
  portTakenDetail: (port: number) =>
    `The window works all the same. Programs that look for this server at port 8004 find it at port ${port} until the next start.`,
  cannotStartTitle: 'Z-Image-Turbo Studio cannot start',
  pageGoneTitle: 'The window stopped working',
  pageGoneDetail: 'It is loaded anew. Pictures in work are not touched by this.',
};
export type Texts = typeof english;

const chinese: Texts = {
  open: '打开',
  newPicture: '新图片',
  gallery: '图库',
  settings: '设置…',
  pauseQueue: '暂停队列',
  resumeQueue: '继续队列',
  lastPictures: '最近的图片',
  checkForUpdates: '检查更新…',
  updateOffered: (version) => `有新版本 ${version}…`,
  updateFailedTitle: '更新未能安装',
  updateFailedDetail: (reason) => `现有版本保持不变并会重新启动。（${reason}）`,
  quit: '退出',
  file: '文件',
  edit: '编辑',
  view: '视图',
  help: '帮助',
  idle: '没有任务',
  waiting: (jobs) => `正在处理 ${jobs} 张图片`,
  completedTitle: '图片已完成',
  completedBody: '点击查看。',
  failedTitle: '有一张图片没能完成',
  quitTitle: '图片还在处理中，确定退出吗？',
  quitDetail: (jobs) => `还有 ${jobs} 张图片没有完成，下次启动时会继续。`,
  quitNow: '退出',
  stay: '继续处理',
  portTakenTitle: (port) => `端口 ${port} 已被其他程序占用`,
  portTakenDetail: (port) => `窗口可以照常使用。下次启动之前，在端口 8004 找不到本服务器的程序请使用端口 ${port}。`,
  cannotStartTitle: 'Z-Image-Turbo Studio 无法启动',
  pageGoneTitle: '窗口停止了工作',
  pageGoneDetail: '正在重新载入。处理中的图片不受影响。',
};

/** @param locale A BCP 47 tag, such as the system's. */
export function textsFor(locale: string): Texts {
  return /^zh([-_]|$)/i.test(locale) ? chinese : english;
}
