import { useTranslation } from 'react-i18next';
import type { ExtraMetadata } from '#shared/domain/model.ts';

/** What a LoRA's file says about itself. */
export function AboutExtra({ trigger_words, base_model }: ExtraMetadata) {
  const { t } = useTranslation();
  const facts = [
    ...(trigger_words === undefined ? [] : [t('edit.triggerWords', { words: trigger_words.join(', ') })]),
    ...(base_model === undefined ? [] : [t('edit.baseModel', { name: base_model })]),
  ];
  return facts.length === 0 ? null : <p className="w-full text-xs break-words text-muted">{facts.join(' · ')}</p>;
}
