import { useMemo } from 'react';
import { useTranslation } from 'react-i18next';
import { Switch } from '../components/switch.tsx';
import { useStudio } from '../components/use-studio.ts';
import { expandPrompt, modesOffered } from '../store/expand-prompt.ts';

const MAX_PREVIEWED = 20;

/** Switches that let one text stand for several prompts, offered once the text has a pattern or several lines, with the prompts that will be made. */
export function PromptModes() {
  const { t } = useTranslation();
  const prompt = useStudio((state) => state.draft.prompt);
  const usesPatterns = useStudio((state) => state.draft.usesPatterns);
  const usesLines = useStudio((state) => state.draft.usesLines);
  const editDraft = useStudio((state) => state.editDraft);
  const offered = useMemo(() => modesOffered(prompt), [prompt]);
  const expanded = useMemo(() => expandPrompt(prompt, { usesPatterns, usesLines }), [prompt, usesPatterns, usesLines]);
  if (!offered.usesPatterns && !offered.usesLines && !usesPatterns && !usesLines) return null;
  return (
    <div className="flex flex-col gap-2 rounded-md bg-sunken p-3">
      {(offered.usesPatterns || usesPatterns) && (
        <Switch label={t('prompt.patterns')} help={t('prompt.patternsHelp')} isOn={usesPatterns} onChange={(on) => editDraft({ usesPatterns: on })} />
      )}
      {(offered.usesLines || usesLines) && (
        <Switch label={t('prompt.lines')} help={t('prompt.linesHelp')} isOn={usesLines} onChange={(on) => editDraft({ usesLines: on })} />
      )}
      {expanded.prompts.length > 1 && (
        <details>
          <summary>{t('prompt.expanded', { count: expanded.count })}</summary>
          <ol className="flex max-h-40 list-decimal flex-col gap-0.5 overflow-y-auto pl-6 text-xs break-words text-muted">
            {expanded.prompts.slice(0, MAX_PREVIEWED).map((one, index) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: two prompts of a pattern may be equal
              <li key={index}>{one}</li>
            ))}
            {expanded.count > MAX_PREVIEWED && <li>…</li>}
          </ol>
        </details>
      )}
    </div>
  );
}
