/** The actions that a notice can undo. */
export type UndoText = 'deleted' | 'draftReplaced' | 'cancelled' | 'labelAdded' | 'labelRemoved';

/** A short message at the edge of the window. Errors carry the server's code, which each language translates, and the server's own message. */
export type Notice =
  | { id: number; tone: 'error'; code: string; message: string }
  | { id: number; tone: 'undo'; text: UndoText; count: number; name?: string; undo: () => void }
  | { id: number; tone: 'info'; text: 'copied' | 'recipeRead' | 'saved' }
  | { id: number; tone: 'info'; text: 'permanentlyDeleted'; count: number };

type WithoutId<T> = T extends unknown ? Omit<T, 'id'> : never;
export type NewNotice = WithoutId<Notice>;
