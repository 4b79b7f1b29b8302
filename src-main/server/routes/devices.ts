import { type Devices, devicesSchema } from '#shared/domain/device.ts';
import { type App, errorAnswers } from '../fastify-app.ts';

/** Lists the devices that can run models; `again` repeats their probes. */
export type ListDevices = (again: boolean) => Promise<Devices>;

export function registerDevices(app: App, listDevices: ListDevices): void {
  const tags = ['server'];
  const response = { 200: devicesSchema, ...errorAnswers };
  app.get('/api/devices', { schema: { tags, summary: 'The devices that can run models, each probed once in its own process', response } }, () =>
    listDevices(false),
  );
  app.post('/api/devices/probe', { config: { insistsOnKey: true }, schema: { tags, summary: 'Probe every device again', response } }, () => listDevices(true));
}
