import { Copy, Eye, EyeOff } from 'lucide-react';
import { useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';
import type { Clients, Network } from '#shared/protocol/http.ts';
import { windowClientIdPattern } from '#shared/protocol/window-client-id.ts';
import { IconButton } from '../../components/button.tsx';
import { Card } from '../../components/card.tsx';
import { QrCode } from '../../components/qr-code.tsx';
import { ScrollBox } from '../../components/scroll-box.tsx';
import { Switch } from '../../components/switch.tsx';
import { useCopy } from '../../components/use-copy.ts';
import { useRefresh } from '../../components/use-refresh.ts';
import { useStudio } from '../../components/use-studio.ts';
import { KeyNeeded } from './key-needed.tsx';

const REFRESH_MS = 5000;

/** How other devices reach the server, and which ones did. */
export function NetworkSection() {
  const { t } = useTranslation();
  const network = useStudio((state) => state.network);
  const refresh = useStudio((state) => state.refreshNetwork);
  useEffect(refresh, [refresh]);
  return (
    <Card title={t('network.title')}>
      <ReachableSwitch />
      {network === null ? <KeyNeeded /> : <Reach network={network} />}
      <ClientsSeen />
    </Card>
  );
}

/** A setting of the desktop app only; without it the server listens where its command line says. */
function ReachableSwitch() {
  const { t } = useTranslation();
  const settings = useStudio((state) => state.desktopSettings);
  const change = useStudio((state) => state.changeDesktopSettings);
  if (settings === null) return null;
  return (
    <Switch
      label={t('network.switch')}
      help={t('network.switchHelp')}
      isOn={settings.reachableFromNetwork}
      onChange={(reachableFromNetwork) => change({ reachableFromNetwork })}
    />
  );
}

function Reach({ network }: { network: Network }) {
  const { t } = useTranslation();
  const isDesktop = useStudio((state) => state.isDesktop);
  const { copyText } = useCopy();
  const [chosen, setChosen] = useState(0);
  const [isKeyShown, setKeyShown] = useState(false);
  const one = network.addresses[chosen] ?? network.addresses[0];
  if (!network.reachable_from_network || one === undefined) {
    return (
      <p className="text-sm text-muted">
        {t('network.closed', { address: `${network.host}:${network.port}` })} {isDesktop ? '' : t('network.howToOpen')}
      </p>
    );
  }
  const key = new URL(one.url).searchParams.get('token');
  return (
    <div className="flex flex-wrap gap-5">
      <div className="flex min-w-0 flex-1 basis-80 flex-col gap-3">
        <p className="text-sm">{key === null ? t('network.openForAll') : t('network.openWithKey')}</p>
        <ul className="flex flex-col gap-1">
          {network.addresses.map(({ address, interface: name, url }, index) => (
            <li key={address} className={`flex items-center gap-2 rounded-md pl-3 ${url === one.url ? 'bg-accent-soft' : ''}`}>
              <label className="flex min-h-9 min-w-0 flex-1 items-center gap-2 text-sm">
                <input type="radio" name="address" className="accent-accent" checked={url === one.url} onChange={() => setChosen(index)} />
                <span className="min-w-0 break-all">
                  <span className="font-mono">{new URL(url).origin}</span> <span className="text-xs text-muted">{name}</span>
                </span>
              </label>
              <IconButton label={t('network.copy', { address })} onClick={() => copyText(url)}>
                <Copy size="1rem" aria-hidden />
              </IconButton>
            </li>
          ))}
        </ul>
        {key !== null && (
          <div className="flex items-center gap-2 text-sm">
            <span className="text-muted">{t('network.key')}</span>
            <code className="min-w-0 flex-1 text-xs break-all">{isKeyShown ? key : '•'.repeat(16)}</code>
            <IconButton label={t(isKeyShown ? 'network.hideKey' : 'network.showKey')} onClick={() => setKeyShown(!isKeyShown)}>
              {isKeyShown ? <EyeOff size="1rem" aria-hidden /> : <Eye size={16} aria-hidden />}
            </IconButton>
            <IconButton label={t('network.copyKey')} onClick={() => copyText(key)}>
              <Copy size="1rem" aria-hidden />
            </IconButton>
          </div>
        )}
      </div>
      <QrCode text={one.url} label={t('network.qr', { address: new URL(one.url).origin })} />
    </div>
  );
}

function ClientsSeen() {
  const { t } = useTranslation();
  const clients = useStudio((state) => state.clients);
  const refresh = useStudio((state) => state.refreshClients);
  useRefresh(refresh, REFRESH_MS);
  if (clients === null) return null;
  return (
    <div>
      <h4 className="mb-1 text-sm font-medium">{t('network.clients')}</h4>
      {clients.clients.length === 0 ? <p className="text-sm text-muted">{t('network.noClients')}</p> : <ClientTable clients={clients} />}
    </div>
  );
}

function ClientTable({ clients: { clients, anonymous_connections } }: { clients: Clients }) {
  const { t, i18n } = useTranslation();
  const time = new Intl.DateTimeFormat(i18n.language, { dateStyle: 'short', timeStyle: 'short' });
  return (
    <ScrollBox label={t('network.clients')} className="max-h-64">
      <table className="w-full text-left text-xs wide:text-sm">
        <thead className="text-xs text-muted">
          <tr>
            <th className="py-1 pr-3 font-normal">{t('network.client')}</th>
            <th className="py-1 pr-3 font-normal">{t('network.lastSeen')}</th>
            <th className="hidden py-1 pr-3 font-normal wide:table-cell">{t('network.from')}</th>
            <th className="py-1 text-right font-normal">{t('network.jobs')}</th>
          </tr>
        </thead>
        <tbody>
          {clients.map(({ client_id, last_seen, jobs, connections, from }) => (
            <tr key={client_id} className="border-t border-line">
              <td className="max-w-28 truncate py-1.5 pr-3 wide:max-w-56" title={client_id}>
                {windowClientIdPattern.test(client_id) ? t('network.window', { id: client_id.slice(-4) }) : client_id}
              </td>
              <td className="py-1.5 pr-3 wide:whitespace-nowrap">
                {connections > 0 ? <span className="text-accent">{t('network.connected')}</span> : last_seen === null ? '–' : time.format(last_seen * 1000)}
              </td>
              <td className="hidden py-1.5 pr-3 whitespace-nowrap wide:table-cell">{from === null ? '–' : t(`origin.${from}`)}</td>
              <td className="py-1.5 text-right tabular-nums">{jobs}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {anonymous_connections > 0 && <p className="mt-1 text-xs text-muted">{t('network.anonymous', { count: anonymous_connections })}</p>}
    </ScrollBox>
  );
}
