import { expect, test } from 'vitest';
import { addressOf, parseAddress } from './use-address.ts';

const ID = 'a'.repeat(64);
const place = { screen: 'make', openImageId: null, settingsPart: null, galleryFilter: {} } as const;

test.each([
  [place, '#/make'],
  [{ ...place, screen: 'models' }, '#/models'],
  [{ ...place, screen: 'gallery' }, '#/gallery'],
  [{ ...place, screen: 'gallery', openImageId: ID }, `#/gallery/${ID}`],
  [
    { ...place, screen: 'gallery', galleryFilter: { query: 'seed:42 "红 fox" -a&b', starred: true } },
    '#/gallery?q=seed%3A42+%22%E7%BA%A2+fox%22+-a%26b&in=starred',
  ],
  [{ ...place, screen: 'gallery', openImageId: ID, galleryFilter: { deleted: true } }, `#/gallery/${ID}?in=bin`],
  [{ ...place, screen: 'settings' }, '#/settings'],
  [{ ...place, screen: 'settings', settingsPart: 'storage' }, '#/settings/storage'],
] as const)('%j has the address %s', (named, address) => {
  expect(addressOf(named)).toBe(address);
  expect(parseAddress(address)).toEqual({ ...named, galleryFilter: { query: undefined, starred: undefined, deleted: undefined, ...named.galleryFilter } });
});

test.each(['', '#main', '#/', '#/elsewhere', '#/gallery/ID', '#/gallery/../x', '#/settings/elsewhere', `#/make/${ID}`])('%j is no place', (hash) => {
  expect(parseAddress(hash)).toBeNull();
});
