import { Download } from 'lucide-react';
import { useMemo, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { type LogLine, logLevelSchema } from '#shared/protocol/http.ts';
import { Card } from '../../components/card.tsx';
import { ScrollBox } from '../../components/scroll-box.tsx';
import { Segmented } from '../../components/segmented.tsx';
import { useRefresh } from '../../components/use-refresh.ts';
import { useStudio } from '../../components/use-studio.ts';
import { KeyNeeded } from './key-needed.tsx';

const REFRESH_MS = 2000;
/** The saved file has all lines. */
const SHOWN_LINES = 300;

/** The lowest level to show. */
type MinLevel = 'info' | 'warn' | 'error';

const levels = logLevelSchema.options;
const isAtLeast = (line: LogLine, minLevel: MinLevel) => levels.indexOf(line.level) >= levels.indexOf(minLevel);

/** The server log, newest first, with search and download. */
export function LogSection() {
  const { t } = useTranslation();
  const log = useStudio((state) => state.log);
  const refresh = useStudio((state) => state.refreshLog);
  const [minLevel, setMinLevel] = useState<MinLevel>('info');
  const [words, setWords] = useState('');
  useRefresh(refresh, REFRESH_MS);
  const shown = useMemo(() => {
    const wanted = words.trim().toLowerCase();
    return (log ?? [])
      .filter((line) => isAtLeast(line, minLevel) && (wanted === '' || lineText(line).toLowerCase().includes(wanted)))
      .slice(-SHOWN_LINES)
      .reverse();
  }, [log, minLevel, words]);
  return (
    <Card title={t('log.title')} lead={t('log.lead')}>
      {log === null ? (
        <KeyNeeded />
      ) : (
        <>
          <div className="flex flex-wrap items-end gap-3">
            <div className="w-64 max-w-full">
              <Segmented
                label={t('log.level')}
                isLabelHidden
                value={minLevel}
                options={[
                  { value: 'info', label: t('log.all') },
                  { value: 'warn', label: t('log.warnings') },
                  { value: 'error', label: t('log.errors') },
                ]}
                onChange={(chosen) => setMinLevel(chosen)}
              />
            </div>
            <input
              type="search"
              aria-label={t('log.search')}
              placeholder={t('log.search')}
              className="min-h-9 min-w-40 flex-1 rounded-md border border-control bg-surface px-2.5 text-sm hover:border-ink"
              value={words}
              onChange={(event) => setWords(event.target.value)}
            />
            <a
              className="inline-flex min-h-9 items-center gap-2 rounded-md border border-line px-3 text-sm font-medium hover:bg-hover"
              href="/api/log?format=text&limit=2000"
              download
            >
              <Download size="1rem" aria-hidden />
              {t('log.save')}
            </a>
          </div>
          <ScrollBox label={t('log.title')} role="log" className="max-h-72 min-h-24 rounded-md bg-sunken p-3 font-mono text-xs">
            {shown.length === 0 ? <p className="text-muted">{t('log.nothing')}</p> : shown.map((line) => <Line key={line.number} line={line} />)}
          </ScrollBox>
        </>
      )}
    </Card>
  );
}

const tones: Partial<Record<LogLine['level'], string>> = {
  warn: 'font-semibold text-ink',
  error: 'font-semibold text-danger',
  fatal: 'font-semibold text-danger',
};

function Line({ line }: { line: LogLine }) {
  return (
    <p className="break-words whitespace-pre-wrap">
      <span className="text-muted">{line.time.slice(11, 19)}</span> <span className={tones[line.level] ?? 'text-muted'}>{line.level}</span> {line.text}
      <span className="text-muted">{fieldsText(line)}</span>
    </p>
  );
}

function lineText(line: LogLine): string {
  return `${line.time} ${line.level} ${line.text}${fieldsText(line)}`;
}

function fieldsText({ fields }: LogLine): string {
  return Object.entries(fields)
    .map(([name, value]) => ` ${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join('');
}
