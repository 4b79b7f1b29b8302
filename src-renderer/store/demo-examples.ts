/** The examples of `i18n` in the order of `docs/images/storybook.png`, which shows what the demo model made of them. */
export const demoExamples = ['cat', 'car', 'penguin', 'sailboat', 'flower', 'rocket'] as const;
