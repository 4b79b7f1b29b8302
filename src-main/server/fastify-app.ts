import type { FastifyBaseLogger, FastifyInstance, RawReplyDefaultExpression, RawRequestDefaultExpression, RawServerDefault } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { httpErrorSchema } from '#shared/protocol/http.ts';

/** Fastify with the types of requests and answers read from their zod schemas. */
export type App = FastifyInstance<RawServerDefault, RawRequestDefaultExpression, RawReplyDefaultExpression, FastifyBaseLogger, ZodTypeProvider>;

/** The error answers that every route may give, for its `response` schemas. */
export const errorAnswers = { '4xx': httpErrorSchema, '5xx': httpErrorSchema } as const;
