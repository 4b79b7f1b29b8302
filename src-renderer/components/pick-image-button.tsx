import { ImagePlus } from 'lucide-react';
import { useRef } from 'react';
import { Button } from './button.tsx';

interface PickImageButtonProps {
  label: string;
  /** Tells the file fields of a page apart. */
  purpose: 'source' | 'control';
  onPick(image: File): void;
}

/** A button that asks for an image file. */
export function PickImageButton({ label, purpose, onPick }: PickImageButtonProps) {
  const file = useRef<HTMLInputElement>(null);
  return (
    <>
      <Button onClick={() => file.current?.click()}>
        <ImagePlus size="1rem" aria-hidden />
        {label}
      </Button>
      <input
        ref={file}
        type="file"
        accept="image/*"
        aria-label={label}
        data-purpose={purpose}
        hidden
        onChange={(event) => {
          const image = event.target.files?.[0];
          if (image !== undefined) onPick(image);
          event.target.value = '';
        }}
      />
    </>
  );
}
