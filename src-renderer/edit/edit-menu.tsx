import { Wand2 } from 'lucide-react';
import { useTranslation } from 'react-i18next';
import { Menu } from '../components/menu.tsx';
import { useStudioStore } from '../components/use-studio.ts';

interface EditMenuProps {
  filename: string;
  width: number;
  height: number;
  onStart?: (() => void) | undefined;
}

/** Sends a finished image into another task. */
export function EditMenu({ filename, width, height, onStart }: EditMenuProps) {
  const { t } = useTranslation();
  const { upscale, startFromImage, guideByImage, info, installedControlNets } = useStudioStore().getState();
  const maxPixels = info?.limits.max_input_pixels ?? Number.POSITIVE_INFINITY;
  if (width * height > maxPixels) return null;
  const starts = [false, true].map((isRepaint) => ({
    label: t(isRepaint ? 'edit.repaint' : 'edit.startFrom'),
    onChoose: () => {
      startFromImage(filename, isRepaint);
      onStart?.();
    },
  }));
  const guides = installedControlNets.slice(0, 1).map(() => ({
    label: t('control.guideBy'),
    onChoose: () => {
      guideByImage(filename);
      onStart?.();
    },
  }));
  const upscales = ([2, 4] as const).map((scale) => ({
    label: t('edit.upscale', { scale, width: width * scale, height: height * scale }),
    onChoose: () => {
      upscale({ image: filename, scale });
      onStart?.();
    },
  }));
  return (
    <Menu
      label={
        <>
          <Wand2 size="1rem" aria-hidden />
          <span className="sr-only wide:not-sr-only">{t('edit.menu')}</span>
        </>
      }
      items={[...starts, ...guides, ...upscales]}
    />
  );
}
