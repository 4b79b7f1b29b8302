import type { FastifyReply, FastifyRequest } from 'fastify';

/** Calls `act` once when the client goes away, or is gone already, before it has its answer. A closed sending side counts: these clients close both. */
export function onDisconnect(request: FastifyRequest, reply: FastifyReply, act: () => void): void {
  const { socket } = request.raw;
  const leave = (): void => {
    socket.off('end', leave);
    if (!reply.raw.writableFinished) act();
  };
  if (reply.raw.closed || socket.readableEnded || socket.destroyed) {
    leave();
    return;
  }
  socket.once('end', leave);
  reply.raw.once('close', leave);
}
