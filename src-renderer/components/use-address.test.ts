import { expect, test } from 'vitest';
import { addressOf, parseAddress } from './use-address.ts';

const ID = 'a'.repeat(64);

test.each([
  [{ screen: 'make', openImageId: null }, '#/make'],
  [{ screen: 'gallery', openImageId: null }, '#/gallery'],
  [{ screen: 'gallery', openImageId: ID }, `#/gallery/${ID}`],
] as const)('%j has the address %s', (place, address) => {
  expect(addressOf(place)).toBe(address);
  expect(parseAddress(address)).toEqual(place);
});

test.each(['', '#main', '#/', '#/elsewhere', '#/gallery/ID', '#/gallery/../x'])('%j is no place', (hash) => {
  expect(parseAddress(hash)).toBeNull();
});
