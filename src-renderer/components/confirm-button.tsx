import { type ReactNode, useState } from 'react';
import { Button } from './button.tsx';

interface ConfirmButtonProps {
  label: string;
  /** Replaces the label after the first click. */
  question: string;
  onConfirm: () => void;
  className?: string;
  /** An icon. */
  children?: ReactNode;
}

/** A button for what cannot be undone: it asks once more in place, and leaving it cancels. */
export function ConfirmButton({ label, question, onConfirm, className = '', children }: ConfirmButtonProps) {
  const [isAsking, setAsking] = useState(false);
  return (
    <Button
      tone="danger"
      className={className}
      onBlur={() => setAsking(false)}
      onClick={() => {
        setAsking(!isAsking);
        if (isAsking) onConfirm();
      }}
    >
      {children}
      {isAsking ? question : label}
    </Button>
  );
}
