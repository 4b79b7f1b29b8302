import { type Devices, devicesSchema } from '#shared/domain/device.ts';
import { type App, errorAnswers } from '../fastify-app.ts';

/** Finds out what pictures can be made on; `again` forgets what earlier trials have shown. */
export type ListDevices = (again: boolean) => Promise<Devices>;

export function registerDevices(app: App, listDevices: ListDevices): void {
  const tags = ['server'];
  const response = { 200: devicesSchema, ...errorAnswers };
  app.get('/api/devices', { schema: { tags, summary: 'What pictures can be made on, each tried once in a process of its own', response } }, () =>
    listDevices(false),
  );
  app.post('/api/devices/probe', { config: { insistsOnKey: true }, schema: { tags, summary: 'Try every device again', response } }, () => listDevices(true));
}
