// Shows a page of its own while the server cannot be reached, and notifications, which phones allow only here. It caches nothing.
const text = self.navigator.language.startsWith('zh')
  ? { lang: 'zh', title: '无法连接服务器', lead: '请在运行服务器的电脑上启动它。恢复连接后，此页面会自动打开。' }
  : { lang: 'en', title: 'The server cannot be reached', lead: 'Start it on the computer that it runs on. This page opens as soon as it is back.' };

const page = `<!doctype html>
<html lang="${text.lang}">
<meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark"><meta http-equiv="refresh" content="5">
<title>Z-Image-Turbo Studio</title>
<style>body { margin: 30vh auto; padding: 0 1rem; max-width: 32rem; font: 1rem/1.6 system-ui, sans-serif; text-align: center }</style>
<h1>${text.title}</h1>
<p>${text.lead}</p>`;

self.addEventListener('fetch', (event) => {
  if (event.request.mode !== 'navigate') return;
  const headers = { 'content-type': 'text/html; charset=utf-8', 'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'" };
  event.respondWith(fetch(event.request).catch(() => new Response(page, { status: 503, headers })));
});

self.addEventListener('notificationclick', (event) => {
  event.notification.close();
  const show = async () => {
    const [window] = await self.clients.matchAll({ type: 'window' });
    return window === undefined ? self.clients.openWindow('./') : window.focus();
  };
  event.waitUntil(show());
});
