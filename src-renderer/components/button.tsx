import type { ComponentProps } from 'react';

const tones = {
  primary: 'bg-accent text-on-accent hover:bg-accent-hover disabled:bg-control disabled:text-surface',
  plain: 'border border-line bg-surface text-ink hover:bg-hover',
  quiet: 'text-ink hover:bg-hover',
  danger: 'text-danger hover:bg-danger-soft',
};

export function Button({ tone = 'plain', className = '', ...rest }: ComponentProps<'button'> & { tone?: keyof typeof tones }) {
  return (
    <button
      type="button"
      className={`inline-flex min-h-9 items-center justify-center gap-2 rounded-md px-3 text-sm font-medium whitespace-nowrap transition-colors ${tones[tone]} ${className}`}
      {...rest}
    />
  );
}

/** A button with an icon only; `label` is its accessible name and tooltip. */
export function IconButton({
  label,
  className = '',
  isOn,
  ...rest
}: Omit<ComponentProps<'button'>, 'aria-label' | 'title'> & { label: string; isOn?: boolean }) {
  return (
    <button
      type="button"
      aria-label={label}
      title={label}
      {...(isOn === undefined ? {} : { 'aria-pressed': isOn })}
      className={`inline-flex size-9 shrink-0 items-center justify-center rounded-md transition-colors hover:bg-hover disabled:opacity-40 ${isOn === true ? 'bg-accent-soft text-accent' : 'text-muted hover:text-ink'} ${className}`}
      {...rest}
    />
  );
}
