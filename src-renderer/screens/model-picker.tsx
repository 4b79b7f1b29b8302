import type { TFunction } from 'i18next';
import { useId } from 'react';
import { useTranslation } from 'react-i18next';
import type { ModelType } from '#shared/domain/job.ts';
import type { Info } from '#shared/protocol/http.ts';
import { useBytes } from '../components/bytes.tsx';
import { useDuration } from '../components/use-duration.ts';
import { useStudio } from '../components/use-studio.ts';
import { numberOf } from '../store/draft.ts';
import { expectedMs } from '../store/expected-time.ts';
import { recommendedType } from '../store/recommended-type.ts';

type Model = Info['models'][number];

/** A model's name as people know it: the published checkpoints by product and quality, others by their own name. */
export function modelTitle(t: TFunction, { name, model_type, bundled }: Pick<Model, 'name' | 'model_type' | 'bundled'>): string {
  const isPublished = /(^|\/)Z-Image-Turbo-SDNQ-/i.test(name);
  if (!bundled && !isPublished) return name;
  return `${bundled ? t('model.demo') : 'Z-Image-Turbo'} · ${t(`model.quality.${model_type}`)}`;
}

/** The models that can draw, with size, speed here, and which one suits this computer. */
export function ModelPicker() {
  const { t } = useTranslation();
  const info = useStudio((state) => state.info);
  const modelType = useStudio((state) => state.draft.modelType);
  const show = useStudio((state) => state.show);
  if (info === null) return null;
  const active = info.models.filter((model) => model.active);
  const recommended = recommendedType(info);
  return (
    <fieldset className="flex min-w-0 flex-col gap-1">
      <legend className="mb-1 text-sm font-medium">{t('options.model')}</legend>
      {active.map((model) => (
        <ModelChoice key={model.model_type} model={model} isRecommended={recommended === model.model_type} />
      ))}
      {!active.some((model) => model.model_type === modelType) && <p className="text-xs font-medium text-danger">{t('error.model_not_installed')}</p>}
      <button type="button" className="self-start text-xs text-muted underline underline-offset-2 hover:text-ink" onClick={() => show('models')}>
        {t('options.otherModels')}
      </button>
    </fieldset>
  );
}

function ModelChoice({ model, isRecommended }: { model: Model; isRecommended: boolean }) {
  const { t } = useTranslation();
  const bytes = useBytes();
  const chosen = useStudio((state) => state.draft.modelType);
  const editDraft = useStudio((state) => state.editDraft);
  const speed = useSpeed(model);
  const group = useId();
  const choose = (modelType: ModelType) => editDraft({ modelType });
  return (
    <label className="flex items-center gap-3 rounded-md border border-line bg-surface px-3 py-2 transition-colors hover:border-control has-checked:border-accent has-checked:bg-accent-soft has-focus-visible:outline-2 has-focus-visible:outline-accent">
      <input
        type="radio"
        name="model"
        className="accent-accent"
        aria-describedby={group}
        checked={chosen === model.model_type}
        onChange={() => choose(model.model_type)}
      />
      <span className="min-w-0">
        <span className="block text-sm font-medium break-words">{modelTitle(t, model)}</span>
        <span id={group} className="block text-xs text-muted tabular-nums">
          {[bytes(model.size_bytes), ...(speed === null ? [] : [t('model.speed', { time: speed })]), ...(isRecommended ? [t('model.recommended')] : [])].join(
            ' · ',
          )}
        </span>
      </span>
    </label>
  );
}

/** Time of an image of the form's size with this model, from what was measured here. */
function useSpeed(model: Model): string | null {
  const draft = useStudio((state) => state.draft);
  const measured = useStudio((state) => state.info?.queue.measured) ?? [];
  const duration = useDuration();
  const ms = expectedMs({ checkpoint: model.name, width: numberOf(draft.width), height: numberOf(draft.height), steps: numberOf(draft.steps) }, measured);
  return ms === null ? null : duration(ms);
}
