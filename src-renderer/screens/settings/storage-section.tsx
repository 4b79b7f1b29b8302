import { FolderOpen } from 'lucide-react';
import { type ComponentProps, useEffect, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { type SettingsAnswer, type SettingsChange, settingsSchema } from '#shared/protocol/settings.ts';
import { Button } from '../../components/button.tsx';
import { Card } from '../../components/card.tsx';
import { controlClass, Field, type FieldIds } from '../../components/field.tsx';
import { Switch } from '../../components/switch.tsx';
import { useStudio, useStudioStore } from '../../components/use-studio.ts';
import { errorText } from '../../i18n/error-text.ts';
import { numberOf, rangeOf } from '../../store/draft.ts';
import { KeyNeeded } from './key-needed.tsx';

/** Image folder, storage limits and job priority. */
export function StorageSection() {
  const { t } = useTranslation();
  const settings = useStudio((state) => state.serverSettings);
  const refresh = useStudio((state) => state.refreshServerSettings);
  const change = useStudio((state) => state.changeServerSettings);
  useEffect(refresh, [refresh]);
  return (
    <Card title={t('storage.title')}>
      {settings === null ? (
        <KeyNeeded />
      ) : (
        <>
          <FolderSetting settings={settings} />
          <div className="grid gap-4 wide:grid-cols-2">
            <NumberSetting
              settings={settings}
              name="disk_limit_gb"
              label={t('storage.limit')}
              help={t('storage.limitHelp')}
              placeholder={t('storage.noLimit')}
            />
            <NumberSetting
              settings={settings}
              name="empty_bin_after_days"
              label={t('storage.bin')}
              help={t('storage.binHelp')}
              placeholder={t('storage.never')}
            />
          </div>
          <Switch
            label={t('storage.windowFirst')}
            help={t('storage.windowFirstHelp')}
            isOn={settings.window_jobs_first}
            isDisabled={settings.fixed.includes('window_jobs_first')}
            onChange={(isOn) => void change({ window_jobs_first: isOn })}
          />
          <Switch
            label={t('storage.marks')}
            help={t('storage.marksHelp')}
            isOn={settings.mark_images}
            isDisabled={settings.fixed.includes('mark_images')}
            onChange={(isOn) => void change({ mark_images: isOn })}
          />
        </>
      )}
    </Card>
  );
}

/** The text of a setting's field and its problem. */
interface TypedSetting {
  text: string;
  problem: string | null;
  edit(text: string): void;
  save(text: string): Promise<void>;
}

/** Sends a change when editing ends; `problem` is the reason if the server refuses it. */
function useSetting(shown: string, changeFor: (text: string) => SettingsChange | null, wrong: string): TypedSetting {
  const { t } = useTranslation();
  const store = useStudioStore();
  const [text, setText] = useState(shown);
  const [problem, setProblem] = useState<string | null>(null);
  const refused = useRef<string | null>(null);
  useEffect(() => {
    setText(shown);
    setProblem(null);
  }, [shown]);
  const save = async (value: string) => {
    setText(value);
    if (value === shown) return setProblem(null);
    // losing focus after Enter must not send the refused value again
    if (value === refused.current) return;
    const change = changeFor(value);
    if (change === null || !settingsSchema.partial().safeParse(change).success) return setProblem(wrong);
    const failure = await store.getState().changeServerSettings(change);
    refused.current = failure === null ? null : value;
    if (failure === null) store.getState().notify({ tone: 'info', text: 'saved' });
    setProblem(failure === null ? null : failure.code === 'bad_param' ? wrong : errorText(t, failure));
  };
  return { text, problem, edit: setText, save };
}

interface SettingInputProps extends Pick<ComponentProps<'input'>, 'className' | 'inputMode' | 'placeholder' | 'spellCheck'> {
  setting: TypedSetting;
  ids: FieldIds;
  isFixed: boolean;
}

/** Saved by Enter or when it loses focus. */
function SettingInput({ setting: { text, edit, save }, ids: { id, describedBy, isWrong }, isFixed, className = '', ...rest }: SettingInputProps) {
  return (
    <input
      {...rest}
      id={id}
      className={`${controlClass} ${className}`}
      autoComplete="off"
      value={text}
      readOnly={isFixed}
      aria-describedby={describedBy}
      aria-invalid={isWrong}
      onChange={(event) => edit(event.target.value)}
      onBlur={() => void save(text)}
      onKeyDown={(event) => {
        if (event.key === 'Enter') void save(text);
      }}
    />
  );
}

/** The image folder. */
function FolderSetting({ settings }: { settings: SettingsAnswer }) {
  const { t } = useTranslation();
  const isDesktop = useStudio((state) => state.isDesktop);
  const chooseFolder = useStudio((state) => state.chooseFolder);
  const isFixed = settings.fixed.includes('outputs_folder');
  const setting = useSetting(settings.outputs_folder, (folder) => ({ outputs_folder: folder }), t('storage.folderWrong'));
  return (
    <Field label={t('storage.folder')} help={isFixed ? t('storage.fixed') : t('storage.folderHelp')} problem={setting.problem}>
      {(ids) => (
        <div className="flex gap-2">
          <SettingInput setting={setting} ids={ids} isFixed={isFixed} className="font-mono" spellCheck={false} />
          {isDesktop && !isFixed && (
            <Button
              onClick={() =>
                void chooseFolder().then((folder) => {
                  if (folder !== null) void setting.save(folder);
                })
              }
            >
              <FolderOpen size="1rem" aria-hidden />
              {t('storage.choose')}
            </Button>
          )}
        </div>
      )}
    </Field>
  );
}

interface NumberSettingProps {
  settings: SettingsAnswer;
  name: 'disk_limit_gb' | 'empty_bin_after_days';
  label: string;
  help: string;
  /** Describes an empty field. */
  placeholder: string;
}

function NumberSetting({ settings, name, label, help, placeholder }: NumberSettingProps) {
  const { t } = useTranslation();
  const isFixed = settings.fixed.includes(name);
  const range = rangeOf(settingsSchema.shape[name].unwrap());
  const wrong = name === 'disk_limit_gb' ? t('problem.notNumber', { ...range }) : t('problem.notWhole', { ...range });
  const setting = useSetting(
    settings[name] === null ? '' : String(settings[name]),
    (value) => (value.trim() === '' ? { [name]: null } : Number.isNaN(numberOf(value)) ? null : { [name]: numberOf(value) }),
    wrong,
  );
  return (
    <Field label={label} help={isFixed ? t('storage.fixed') : help} problem={setting.problem}>
      {(ids) => <SettingInput setting={setting} ids={ids} isFixed={isFixed} inputMode="decimal" placeholder={placeholder} />}
    </Field>
  );
}
