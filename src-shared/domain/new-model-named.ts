import type { NewModel } from './model.ts';

/**
 * What a person means to install: the path of a folder or of a safetensors file, or a repository with or without a file in it, also as the address of its page
 * on Hugging Face. The result is not checked.
 */
export function newModelNamed(text: string): NewModel {
  if (/^(\/|~|[A-Za-z]:[\\/]|\\\\|\.)/.test(text)) return text.endsWith('.safetensors') ? { file: text } : { dir: text };
  const name = text
    .replace(/^https:\/\/huggingface\.co\//, '')
    .replace(/[?#].*$/, '')
    .replace(/\/$/, '');
  const [, repository = name, revision, file] = /^([^/]+\/[^/]+)(?:\/(?:blob|resolve|tree)\/([^/]+))?(?:\/(.+))?$/.exec(name) ?? [];
  return { repository, ...(revision === undefined ? {} : { revision }), ...(file === undefined ? {} : { file }) };
}
