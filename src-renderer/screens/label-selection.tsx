import { FolderPlus } from 'lucide-react';
import { type FormEvent, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { type Label, labelSchema } from '#shared/domain/job-record.ts';
import { Button } from '../components/button.tsx';
import { Popover } from '../components/popover.tsx';
import { Segmented } from '../components/segmented.tsx';
import { useStudio } from '../components/use-studio.ts';
import { parseSearch } from '../store/search-query.ts';

/** Puts the selected images into an album or gives them a tag. In the list of an album or a tag they can be taken out. */
export function LabelSelection({ ids }: { ids: readonly string[] }) {
  const { t } = useTranslation();
  const setLabel = useStudio((state) => state.setLabel);
  const { album, tag } = parseSearch(useStudio((state) => state.galleryFilter.query ?? ''));
  const shown: Label[] = [
    ...(album === undefined ? [] : [{ kind: 'album', name: album } as const]),
    ...(tag === undefined ? [] : [{ kind: 'tag', name: tag } as const]),
  ];
  return (
    <>
      {shown.map((label) => (
        <Button key={label.kind} onClick={() => void setLabel(ids, label, false)}>
          {t('label.remove', { name: label.name })}
        </Button>
      ))}
      <Popover
        place="top-full right-0 mt-1 w-72 max-wide:right-auto max-wide:left-0"
        button={(props) => (
          <Button {...props}>
            <FolderPlus size="1rem" aria-hidden />
            {t('label.add')}
          </Button>
        )}
      >
        {(close) => (
          <LabelForm
            onChoose={(label) => {
              close();
              void setLabel(ids, label, true);
            }}
          />
        )}
      </Popover>
    </>
  );
}

function LabelForm({ onChoose }: { onChoose: (label: Label) => void }) {
  const { t } = useTranslation();
  const labels = useStudio((state) => state.labels);
  const [kind, setKind] = useState<string>('album');
  const [name, setName] = useState('');
  const { data: label } = labelSchema.safeParse({ kind, name });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (label !== undefined) onChoose(label);
  };
  return (
    <form className="flex flex-col gap-3 p-2" onSubmit={submit}>
      <Segmented
        label={t('label.kind')}
        isLabelHidden
        value={kind}
        options={[
          { value: 'album', label: t('label.album') },
          { value: 'tag', label: t('label.tag') },
        ]}
        onChange={setKind}
      />
      <div className="flex gap-2">
        <input
          // biome-ignore lint/a11y/noAutofocus: the popover was opened to type a name
          autoFocus
          aria-label={t('label.name')}
          placeholder={t('label.name')}
          list="label-names"
          maxLength={60}
          value={name}
          className="min-h-9 min-w-0 flex-1 rounded-md border border-control bg-surface px-2 text-sm hover:border-ink"
          onChange={(event) => setName(event.target.value)}
        />
        <Button type="submit" tone="primary" disabled={label === undefined}>
          {t('label.confirm')}
        </Button>
      </div>
      <datalist id="label-names">
        {labels
          .filter((one) => one.kind === kind)
          .map((one) => (
            <option key={one.name} value={one.name} />
          ))}
      </datalist>
    </form>
  );
}
