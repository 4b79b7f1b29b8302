import type { Locator, Page } from 'playwright-core';

/** Parts of the page, by their English names. */
export const stage = (page: Page): Locator => page.getByRole('region', { name: 'Image', exact: true });
export const queue = (page: Page): Locator => page.getByRole('region', { name: 'Queue' });
export const prompt = (page: Page): Locator => page.getByLabel('Describe your image', { exact: true });
/** The settings that are folded away under Make. */
export const openAdvanced = (page: Page): Promise<void> => page.getByText('Advanced', { exact: true }).click();
/** Fills the form with all settings of the image on the stage. */
export async function useThese(page: Page): Promise<void> {
  await stage(page).getByRole('button', { name: 'Use', exact: true }).click();
  await stage(page).getByRole('button', { name: 'Use these settings' }).click();
}
export const go = (page: Page, screen: string): Promise<void> => page.getByRole('navigation').getByRole('button', { name: screen }).click();

export async function make(page: Page, words: string, more: { count?: string; size?: string } = {}): Promise<void> {
  if (more.size !== undefined) await page.getByText(more.size, { exact: true }).click();
  if (more.count !== undefined) await page.getByLabel('Images', { exact: true }).fill(more.count);
  await prompt(page).fill(words);
  await prompt(page).press('Control+Enter');
}

/** With the patience of a machine that is busy with other tests. */
export const isFinished = (page: Page): Promise<void> =>
  stage(page).getByRole('button', { name: 'Compare original and upscaled', disabled: false }).waitFor({ timeout: 90_000 });

/** Widths of the images on the stage once they are decoded: the upscaled one, then the original. */
export const shownImages = (page: Page): Promise<number[]> =>
  stage(page)
    .locator('figure img')
    .evaluateAll(async (images) => {
      const shown = images.filter((image) => image instanceof HTMLImageElement);
      await Promise.all(shown.map((image) => image.decode()));
      return shown.map(({ naturalWidth }) => naturalWidth);
    });
