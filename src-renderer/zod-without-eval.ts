import { config } from 'zod';

// Schemas look at this when they are made, so this file is imported before any of them: else zod tries `new Function`, which the page's content policy reports.
config({ jitless: true });
