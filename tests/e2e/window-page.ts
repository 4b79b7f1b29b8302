import type { Locator, Page } from 'playwright-core';

/** What a person finds on the page, by the names that it has in English. */
export const stage = (page: Page): Locator => page.getByRole('region', { name: 'Picture', exact: true });
export const queue = (page: Page): Locator => page.getByRole('region', { name: 'Queue' });
export const prompt = (page: Page): Locator => page.getByLabel('Describe your picture', { exact: true });
export const go = (page: Page, screen: string): Promise<void> => page.getByRole('navigation').getByRole('button', { name: screen }).click();

export async function make(page: Page, words: string, more: { count?: string; size?: string } = {}): Promise<void> {
  if (more.size !== undefined) await page.getByText(more.size, { exact: true }).click();
  if (more.count !== undefined) await page.getByLabel('Pictures', { exact: true }).fill(more.count);
  await prompt(page).fill(words);
  await prompt(page).press('Control+Enter');
}

export const isFinished = (page: Page): Promise<void> =>
  stage(page).getByRole('slider', { name: 'Compare original and enlarged' }).waitFor({ state: 'attached' });

/** Widths of the pictures on the stage once they are decoded: the enlarged one, then the original. */
export const shownPictures = (page: Page): Promise<number[]> =>
  stage(page)
    .locator('figure img')
    .evaluateAll(async (images) => {
      const pictures = images.filter((image) => image instanceof HTMLImageElement);
      await Promise.all(pictures.map((picture) => picture.decode()));
      return pictures.map(({ naturalWidth }) => naturalWidth);
    });
