/** The examples in the order of `docs/images/storybook.png`, which shows what the demo model makes of them with these seeds. */
export const demoExamples = [
  { name: 'cat', seed: 20 },
  { name: 'car', seed: 21 },
  { name: 'penguin', seed: 22 },
  { name: 'sailboat', seed: 23 },
  { name: 'flower', seed: 24 },
  { name: 'rocket', seed: 25 },
] as const;
