import { Dices, Lock, Undo2 } from 'lucide-react';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { IconButton } from '../components/button.tsx';
import { controlClass, Field } from '../components/field.tsx';
import { NumberField } from '../components/number-field.tsx';
import { Segmented } from '../components/segmented.tsx';
import { useCheckOnLeave } from '../components/use-check-on-leave.ts';
import { useStudio } from '../components/use-studio.ts';
import { ControlPicker } from '../edit/control-picker.tsx';
import { LoraPicker } from '../edit/lora-picker.tsx';
import { problemText } from '../i18n/problem-text.ts';
import { limits, numberOf, usesNegativePrompt } from '../store/draft.ts';
import { baseSidesPx, presetOf, type Ratio, ratios, sizeFor } from '../store/image-size.ts';
import { ModelPicker } from './model-picker.tsx';
import { useChosenModel } from './use-chosen-model.ts';

/** The size at which the bundled checkpoints draw best. */
const CLEAREST_PX = 512;

/** All settings of the image except prompt and number. */
export function Options() {
  const { t } = useTranslation();
  return (
    <section aria-label={t('options.label')} className="flex flex-col gap-4">
      <SizeOptions />
      <UpscaleOption />
      <ModelPicker />
      <LoraPicker />
      <Advanced />
    </section>
  );
}

/** Open while one of its fields is invalid, so that the problem is visible. */
function Advanced() {
  const { t } = useTranslation();
  const isWrong = useStudio(({ problems: { steps, seed, guidanceScale } }) => [steps, seed, guidanceScale].some((problem) => problem !== undefined));
  const [isOpen, setOpen] = useState(false);
  return (
    <details open={isOpen || isWrong} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{t('options.more')}</summary>
      <div className="flex flex-col gap-4 pt-1">
        <div className="grid grid-cols-2 gap-3">
          <DraftNumber field="steps" label={t('options.steps')} help={t('options.stepsHelp')} range={limits.steps} />
          <DraftNumber
            field="guidanceScale"
            label={t('options.guidance')}
            help={t('options.guidanceHelp')}
            isHelpAtEnd
            range={limits.guidanceScale}
            step={0.5}
            isDecimal
          />
        </div>
        <NegativePrompt />
        <SeedOption />
        <ControlPicker />
      </div>
    </details>
  );
}

function NegativePrompt() {
  const { t } = useTranslation();
  const isUsed = useStudio((state) => usesNegativePrompt(state.draft));
  const value = useStudio((state) => state.draft.negativePrompt);
  const editDraft = useStudio((state) => state.editDraft);
  if (!isUsed) return null;
  return (
    <Field label={t('options.negative')} help={t('options.negativeHelp')}>
      {({ id, describedBy }) => (
        <textarea
          id={id}
          className={`${controlClass} min-h-16 py-2`}
          rows={2}
          maxLength={limits.promptCharacters}
          aria-describedby={describedBy}
          value={value}
          onChange={(event) => editDraft({ negativePrompt: event.target.value })}
        />
      )}
    </Field>
  );
}

function UpscaleOption() {
  const { t } = useTranslation();
  const upscale = useStudio((state) => state.draft.upscale);
  const editDraft = useStudio((state) => state.editDraft);
  return (
    <Segmented
      label={t('options.upscale')}
      value={upscale}
      options={[
        { value: 'off', label: t('options.upscaleOff') },
        { value: '2', label: '2×' },
        { value: '4', label: '4×' },
      ]}
      onChange={(chosen) => editDraft({ upscale: chosen })}
    />
  );
}

interface DraftNumberProps {
  field: 'width' | 'height' | 'steps' | 'guidanceScale';
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
  const upscale = useStudio((state) => state.draft.upscale);
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
          {upscale !== 'off' && ' · '}
          {upscale !== 'off' && t('options.sizeHelp', { scale: upscale, width: size.width * Number(upscale), height: size.height * Number(upscale) })}
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
