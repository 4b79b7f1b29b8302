import type { TFunction } from 'i18next';
import { useEffect } from 'react';
import { useTranslation } from 'react-i18next';
import type { Devices } from '#shared/domain/device.ts';
import type { Info } from '#shared/protocol/http.ts';
import { Button } from '../../components/button.tsx';
import { Bytes, useBytes } from '../../components/bytes.tsx';
import { Card } from '../../components/card.tsx';
import { Fact, Facts } from '../../components/facts.tsx';
import { Select } from '../../components/select.tsx';
import { useCopy } from '../../components/use-copy.ts';
import { useRefresh } from '../../components/use-refresh.ts';
import { useStudio } from '../../components/use-studio.ts';
import { phaseText } from '../../i18n/phase-text.ts';
import { deviceOptions } from '../../store/device-options.ts';
import { deviceReport } from '../../store/device-report.ts';
import { overallProgress } from '../../store/overall-progress.ts';
import { CudaPack } from './cuda-pack.tsx';

const REFRESH_MS = 2000;

/** Device, engine, memory and queue of the server's machine. */
export function MachineSection() {
  const { t } = useTranslation();
  const info = useStudio((state) => state.info);
  const refresh = useStudio((state) => state.refreshInfo);
  const running = useStudio((state) => Object.values(state.jobs).find((job) => job.status === 'processing' && job.progress !== null));
  useRefresh(refresh, REFRESH_MS);
  if (info === null) {
    return (
      <Card title={t('settings.machine')}>
        <p className="text-sm text-muted">{t('machine.unknown')}</p>
      </Card>
    );
  }
  const { engine, memory, queue } = info;
  return (
    <Card title={t('settings.machine')}>
      <Facts>
        <Fact name={t('machine.device')}>
          {engine.devices.map(({ device }) => providerText(t, device)).join(', ')}
          {info.engine.accuracy === 'fast' && <span className="text-muted"> · {t('machine.fast')}</span>}
        </Fact>
        <Fact name={t('machine.engine')}>
          {t(`engineState.${engine.state}`)}
          {engine.restarts > 0 && <span className="text-muted"> · {t('machine.restarts', { count: engine.restarts })}</span>}
        </Fact>
        <Fact name={t('machine.now')}>{running === undefined ? t('machine.idle') : phaseText(t, running, overallProgress(running))}</Fact>
        <Fact name={t('machine.queue')}>
          {t('machine.queueText', { running: queue.running, waiting: queue.waiting })}
          {queue.paused && ` · ${t('machine.paused')}`}
        </Fact>
        {engine.memory.planned !== null && (
          <Fact name={t('machine.memoryPlan')}>
            <PlanText planned={engine.memory.planned} steppedDown={engine.memory.stepped_down} />
          </Fact>
        )}
        <Fact name={t('machine.memory')}>
          <MemoryBar engineBytes={engine.resident_bytes} serverBytes={memory.server_bytes} freeBytes={memory.free_bytes} totalBytes={memory.total_bytes} />
        </Fact>
      </Facts>
      <DeviceList />
      <CudaPack />
    </Card>
  );
}

/** All possible devices and whether they are used. The server gives its reasons in English only. */
function DeviceList() {
  const { t } = useTranslation();
  const devices = useStudio((state) => state.devices);
  const isProbing = useStudio((state) => state.isProbing);
  const refresh = useStudio((state) => state.refreshDevices);
  const { copyText } = useCopy();
  useEffect(() => refresh(false), [refresh]);
  return (
    <details className="border-t border-line pt-3">
      <summary>{t('device.title')}</summary>
      <DeviceChoice />
      <ul className="flex flex-col divide-y divide-line">
        {devices?.gpus.map((gpu) => (
          <li key={gpu.name} className="py-2 text-sm">
            {gpu.name} <span className="text-xs text-muted">{t('device.driver', { version: gpu.driver })}</span>
          </li>
        ))}
        {devices?.devices.map((device) => (
          <li key={device.provider} className="flex flex-wrap items-baseline gap-x-3 gap-y-0.5 py-2 text-sm">
            <span className="font-medium">{providerText(t, device.provider)}</span>
            {device.active && <span className="rounded-full bg-accent-soft px-2 text-xs text-accent">{t('model.active')}</span>}
            <span className="text-muted">{t(`deviceState.${device.state}`)}</span>
            {device.milliseconds !== null && (
              <span className="text-xs text-muted tabular-nums">{t('device.time', { milliseconds: Math.round(device.milliseconds) })}</span>
            )}
            <p className="w-full text-xs text-muted" lang="en">
              {device.reason}
            </p>
          </li>
        ))}
      </ul>
      <div className="flex flex-wrap gap-2">
        <Button disabled={isProbing} onClick={() => refresh(true)}>
          {t(isProbing ? 'device.trying' : 'device.tryAgain')}
        </Button>
        {devices !== null && <Button onClick={() => copyText(deviceReport(devices))}>{t('device.copy')}</Button>}
      </div>
    </details>
  );
}

/** The device to use after the next restart: the available ones and the current choice. */
function DeviceChoice() {
  const { t } = useTranslation();
  const devices = useStudio((state) => state.devices);
  const settings = useStudio((state) => state.serverSettings);
  const refresh = useStudio((state) => state.refreshServerSettings);
  const change = useStudio((state) => state.changeServerSettings);
  useEffect(refresh, [refresh]);
  if (settings === null || devices === null) return null;
  const options = deviceOptions(devices, settings.device).map((value) => ({
    value,
    label: value === 'auto' ? t('device.auto') : deviceText(t, value, devices.gpus),
  }));
  return (
    <div className="flex flex-wrap items-center justify-between gap-2 py-2 text-sm">
      <span className="font-medium">{t('device.choice')}</span>
      {settings.fixed.includes('device') ? (
        <span className="text-muted">{t('storage.fixed')}</span>
      ) : (
        <Select isWide label={t('device.choice')} value={settings.device} options={options} onChange={(device) => void change({ device })} />
      )}
    </div>
  );
}

const providers = { cpu: 'CPU', cuda: 'NVIDIA CUDA', webgpu: 'WebGPU', dml: 'DirectML', coreml: 'Core ML' };
const isProvider = (name: string): name is keyof typeof providers => name in providers;

/** A device's display name, followed by the number of the GPU if there are several. */
function providerText(t: TFunction, name: string): string {
  if (name === 'cpu') return t('device.cpu');
  const [provider = '', card] = name.split(':');
  const text = isProvider(provider) ? providers[provider] : provider;
  return card === undefined ? text : `${text} ${card}`;
}

function deviceText(t: TFunction, name: string, gpus: Devices['gpus']): string {
  const [provider, card = '0'] = name.split(':');
  const gpu = provider === 'cuda' ? gpus[Number(card)] : undefined;
  return gpu === undefined ? providerText(t, name) : `${providerText(t, name)}: ${gpu.name}`;
}

/** Which parts of the model are in memory, and how much they need. */
function PlanText({ planned, steppedDown }: { planned: NonNullable<Info['engine']['memory']['planned']>; steppedDown: boolean }) {
  const { t } = useTranslation();
  const bytes = useBytes();
  const need = bytes(planned.need_bytes);
  return (
    <>
      {t(`memoryPlan.${planned.plan}`)}
      <span className="text-muted">
        {' · '}
        {planned.free_bytes === null ? t('machine.planNeedsOnly', { need }) : t('machine.planNeeds', { need, free: bytes(planned.free_bytes) })}
        {steppedDown && ` · ${t('machine.steppedDown')}`}
      </span>
    </>
  );
}

interface MemoryBarProps {
  engineBytes: number;
  serverBytes: number;
  freeBytes: number;
  totalBytes: number;
}

/** Memory used by the engine, the server and other apps, and what is free. */
function MemoryBar({ engineBytes, serverBytes, freeBytes, totalBytes }: MemoryBarProps) {
  const { t } = useTranslation();
  const othersBytes = Math.max(0, totalBytes - freeBytes - engineBytes - serverBytes);
  const parts = [
    { name: 'machine.memoryEngine', bytes: engineBytes, className: 'bg-accent' },
    { name: 'machine.memoryServer', bytes: serverBytes, className: 'bg-ink' },
    { name: 'machine.memoryOthers', bytes: othersBytes, className: 'bg-control' },
    { name: 'machine.memoryFree', bytes: freeBytes, className: 'bg-sunken border border-control' },
  ] as const;
  return (
    <div className="flex flex-col gap-1.5 pt-1.5">
      <div aria-hidden className="flex h-2 overflow-hidden rounded-full bg-sunken">
        {parts.slice(0, 3).map(({ name, bytes, className }) => (
          <div key={name} className={className} style={{ width: `${(100 * bytes) / totalBytes}%` }} />
        ))}
      </div>
      <ul className="flex flex-wrap gap-x-4 gap-y-0.5 text-xs text-muted">
        {parts.map(({ name, bytes, className }) => (
          <li key={name} className="flex items-center gap-1.5">
            <span aria-hidden className={`size-2 rounded-full ${className}`} />
            {t(name)} <Bytes value={bytes} />
          </li>
        ))}
      </ul>
    </div>
  );
}
