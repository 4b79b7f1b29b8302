import { Dices, Lock, Undo2 } from 'lucide-react';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import type { Info } from '#shared/protocol/http.ts';
import { IconButton } from '../components/button.tsx';
import { Bytes } from '../components/bytes.tsx';
import { NumberField } from '../components/number-field.tsx';
import { Segmented } from '../components/segmented.tsx';
import { useCheckOnLeave } from '../components/use-check-on-leave.ts';
import { useStudio } from '../components/use-studio.ts';
import { problemText } from '../i18n/problem-text.ts';
import { limits, numberOf } from '../store/draft.ts';
import { baseSidesPx, presetOf, type Ratio, ratios, sizeFor } from '../store/image-size.ts';

const UPSCALE = 4;
/** The size at which the bundled checkpoints draw best. */
const CLEAREST_PX = 512;

/** All settings of the image except the prompt. */
export function Options() {
  const { t } = useTranslation();
  return (
    <section aria-label={t('options.label')} className="flex flex-col gap-4">
      <SizeOptions />
      <div className="grid grid-cols-2 gap-3">
        <DraftNumber field="steps" label={t('options.steps')} help={t('options.stepsHelp')} range={limits.steps} />
        <DraftNumber field="count" label={t('options.count')} help={t('options.countHelp', { max: limits.count.max })} isHelpAtEnd range={limits.count} />
      </div>
      <SeedOption />
      <ModelOption />
      <details>
        <summary>{t('options.more')}</summary>
        <DraftNumber field="guidanceScale" label={t('options.guidance')} help={t('options.guidanceHelp')} range={limits.guidanceScale} step={0.5} isDecimal />
      </details>
    </section>
  );
}

interface DraftNumberProps {
  field: 'width' | 'height' | 'steps' | 'count' | 'guidanceScale';
  label: string;
  help?: string;
  range: { min: number; max: number };
  step?: number;
  isDecimal?: boolean;
  isHelpAtEnd?: boolean;
}

function DraftNumber({ field, label, help, isHelpAtEnd = false, range, step = 1, isDecimal = false }: DraftNumberProps) {
  const { t } = useTranslation();
  const value = useStudio((state) => state.draft[field]);
  const problem = useStudio((state) => state.problems[field]);
  const editDraft = useStudio((state) => state.editDraft);
  const checkOnLeave = useCheckOnLeave();
  return (
    <NumberField
      label={label}
      {...(help === undefined ? {} : { help })}
      isHelpAtEnd={isHelpAtEnd}
      value={value}
      problem={problemText(t, problem)}
      range={range}
      step={step}
      isDecimal={isDecimal}
      onChange={(text) => editDraft({ [field]: text })}
      onLeave={checkOnLeave}
    />
  );
}

function SizeOptions() {
  const { t } = useTranslation();
  const width = useStudio((state) => state.draft.width);
  const height = useStudio((state) => state.draft.height);
  const editDraft = useStudio((state) => state.editDraft);
  const model = useChosenModel();
  const size = { width: numberOf(width), height: numberOf(height) };
  const preset = presetOf(size);
  const [isFree, setFree] = useState(preset === null);
  const isFreeShown = isFree || preset === null;

  const choose = (ratio: Ratio, baseSidePx: number) => {
    const chosen = sizeFor(ratio, baseSidePx);
    setFree(false);
    editDraft({ width: String(chosen.width), height: String(chosen.height) });
  };
  return (
    <div className="flex flex-col gap-3">
      <Segmented
        label={t('options.shape')}
        value={isFreeShown ? null : preset.ratio}
        options={ratios.map((ratio) => ({ value: ratio, label: <RatioIcon ratio={ratio} /> }))}
        onChange={(ratio) => choose(ratio, preset?.baseSidePx ?? baseSidesPx[0])}
      />
      <Segmented
        label={t('options.size')}
        value={isFreeShown ? 'free' : String(preset.baseSidePx)}
        options={[...baseSidesPx.map((side) => ({ value: String(side), label: String(side) })), { value: 'free', label: t('options.freeSize') }]}
        onChange={(value) => (value === 'free' ? setFree(true) : choose(preset?.ratio ?? '1:1', Number(value)))}
      />
      {isFreeShown && (
        <>
          <div className="grid grid-cols-2 gap-3">
            <DraftNumber field="width" label={t('options.width')} range={limits.sidePx} step={limits.sideUnitPx} />
            <DraftNumber field="height" label={t('options.height')} range={limits.sidePx} step={limits.sideUnitPx} />
          </div>
          <p className="text-xs text-muted">{t('options.sizeHelpFree', { unit: limits.sideUnitPx, min: limits.sidePx.min, max: limits.sidePx.max })}</p>
        </>
      )}
      {Number.isFinite(size.width * size.height) && (
        <p className="text-xs text-muted">
          <span className="font-medium text-ink tabular-nums">
            {size.width} × {size.height}
          </span>
          {' · '}
          {t('options.sizeHelp', { width: size.width * UPSCALE, height: size.height * UPSCALE })}
          {model?.bundled === true && size.width * size.height > CLEAREST_PX ** 2 && ` ${t('options.sizeHelpBundled', { side: CLEAREST_PX })}`}
        </p>
      )}
    </div>
  );
}

/** The shape as a small drawing with its name. */
function RatioIcon({ ratio }: { ratio: Ratio }) {
  const [across = 1, down = 1] = ratio.split(':').map(Number);
  const longest = Math.max(across, down);
  return (
    <span className="flex flex-col items-center gap-0.5 py-1 text-xs">
      <span aria-hidden className="flex size-4.5 items-center justify-center">
        <span
          className="rounded-[2px] border-[1.5px] border-current"
          style={{ width: `${(across / longest) * 1.125}rem`, height: `${(down / longest) * 1.125}rem` }}
        />
      </span>
      {ratio}
    </span>
  );
}

function SeedOption() {
  const { t } = useTranslation();
  const { seed, seedMode } = useStudio((state) => state.draft);
  const problem = useStudio((state) => state.problems.seed);
  const lastSeed = useStudio((state) => state.lastSeed);
  const editDraft = useStudio((state) => state.editDraft);
  const checkOnLeave = useCheckOnLeave();
  // keeping the seed means that of the last image
  const fixedSeed = String(lastSeed ?? seed);
  return (
    <div className="grid grid-cols-[minmax(0,1fr)_auto] items-start gap-3">
      <NumberField
        label={t('options.seed')}
        help={t('options.seedHelp')}
        value={seedMode === 'random' ? '' : seed}
        placeholder={t('options.seedPlaceholder')}
        problem={problemText(t, problem)}
        range={limits.seed}
        onChange={(text) => editDraft({ seed: text, seedMode: 'fixed' })}
        onLeave={checkOnLeave}
      />
      <div className="flex items-center gap-1 pt-7">
        <IconButton label={t('options.seedRandom')} isOn={seedMode === 'random'} onClick={() => editDraft({ seedMode: 'random' })}>
          <Dices size="1.125rem" aria-hidden />
        </IconButton>
        <IconButton label={t('options.seedFixed')} isOn={seedMode === 'fixed'} onClick={() => editDraft({ seedMode: 'fixed', seed: fixedSeed })}>
          <Lock size="1.125rem" aria-hidden />
        </IconButton>
        {lastSeed !== null && (seedMode === 'random' || String(lastSeed) !== seed) && (
          <IconButton label={t('options.seedPrevious', { seed: lastSeed })} onClick={() => editDraft({ seed: String(lastSeed), seedMode: 'fixed' })}>
            <Undo2 size="1.125rem" aria-hidden />
          </IconButton>
        )}
      </div>
    </div>
  );
}

/** The checkpoint that would run; undefined if none of this type is installed or the server has not answered yet. */
function useChosenModel(): Info['models'][number] | undefined {
  return useStudio(({ info, draft }) => info?.models.find((one) => one.model_type === draft.modelType && one.active));
}

function ModelOption() {
  const { t } = useTranslation();
  const modelType = useStudio((state) => state.draft.modelType);
  const info = useStudio((state) => state.info);
  const editDraft = useStudio((state) => state.editDraft);
  const show = useStudio((state) => state.show);
  const model = useChosenModel();
  return (
    <div className="flex flex-col gap-1">
      <Segmented
        label={t('options.model')}
        value={modelType}
        options={[
          { value: 'uint4', label: 'uint4' },
          { value: 'int8', label: 'int8' },
        ]}
        onChange={(value) => editDraft({ modelType: value })}
      />
      {info !== null &&
        (model === undefined ? (
          <p className="text-xs font-medium text-danger">{t('error.model_not_installed')}</p>
        ) : (
          <p className="text-xs text-muted">
            <span className="font-medium break-words text-ink">{model.name}</span>
            {' · '}
            <Bytes value={model.size_bytes} />
            <MeasuredTime checkpoint={model.name} measured={info.queue.measured} />
            {model.bundled && (
              <>
                {' · '}
                <button type="button" className="underline underline-offset-2 hover:text-ink" onClick={() => show('settings')}>
                  {t('options.otherModels')}
                </button>
              </>
            )}
          </p>
        ))}
      <p className="text-xs text-muted">{t('options.modelHelp')}</p>
    </div>
  );
}

/** Measured time for an image of this size, otherwise for the last one of another size. */
function MeasuredTime({ checkpoint, measured }: { checkpoint: string; measured: Info['queue']['measured'] }) {
  const { t, i18n } = useTranslation();
  const draft = useStudio((state) => state.draft);
  const ofModel = measured.filter((one) => one.checkpoint === checkpoint);
  const sameSize = ofModel.filter((one) => one.width === numberOf(draft.width) && one.height === numberOf(draft.height));
  const found = sameSize.find((one) => one.steps === numberOf(draft.steps)) ?? sameSize[0] ?? ofModel[0];
  if (found === undefined) return null;
  const seconds = new Intl.NumberFormat(i18n.language, { maximumSignificantDigits: 2 }).format((found.generate_ms + (found.upscale_ms ?? 0)) / 1000);
  return <> · {t('model.measured', { seconds, width: found.width, height: found.height, steps: found.steps })}</>;
}
