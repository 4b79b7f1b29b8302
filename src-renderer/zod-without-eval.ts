import { config } from 'zod';

// must be imported before any schema: zod would try `new Function`, which the page's content security policy reports
config({ jitless: true });
