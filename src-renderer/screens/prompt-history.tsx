import { History } from 'lucide-react';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { IconButton } from '../components/button.tsx';
import { Popover } from '../components/popover.tsx';
import { useStudio } from '../components/use-studio.ts';

const SEARCH_FROM = 8;

/** Earlier prompts in a list; a click puts one into the box. */
export function PromptHistory() {
  const { t } = useTranslation();
  const prompts = useStudio((state) => state.prompts);
  return (
    <Popover
      place="top-full right-0 mt-1 w-80 max-w-[85vw]"
      button={(props) => (
        <IconButton className="size-7!" label={t('prompt.history')} disabled={prompts.length === 0} {...props}>
          <History size="1rem" aria-hidden />
        </IconButton>
      )}
    >
      {(close) => <PromptList onDone={close} />}
    </Popover>
  );
}

function PromptList({ onDone }: { onDone: () => void }) {
  const { t } = useTranslation();
  const prompts = useStudio((state) => state.prompts);
  const replaceDraft = useStudio((state) => state.replaceDraft);
  const [search, setSearch] = useState('');
  const found = prompts.filter((prompt) => prompt.toLowerCase().includes(search.trim().toLowerCase()));
  return (
    <>
      {prompts.length >= SEARCH_FROM && (
        <input
          type="search"
          aria-label={t('prompt.searchHistory')}
          placeholder={t('prompt.searchHistory')}
          className="mb-1 min-h-9 w-full rounded-sm border border-control bg-surface px-2 text-sm"
          value={search}
          onChange={(event) => setSearch(event.target.value)}
        />
      )}
      <ul aria-label={t('prompt.history')} className="max-h-72 overflow-y-auto">
        {found.map((prompt) => (
          <li key={prompt}>
            <button
              type="button"
              className="line-clamp-2 w-full rounded-sm px-2 py-1.5 text-left text-sm break-words hover:bg-hover"
              onClick={() => {
                replaceDraft({ prompt });
                onDone();
              }}
            >
              {prompt}
            </button>
          </li>
        ))}
      </ul>
      {found.length === 0 && <p className="px-2 py-1.5 text-sm text-muted">{t('gallery.nothingFound')}</p>}
    </>
  );
}
