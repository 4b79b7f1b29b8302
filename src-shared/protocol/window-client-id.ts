/** The form of the ids that the program's own window gives itself; its jobs start before those of scripts. */
export const windowClientIdPattern = /^studio-[0-9a-f]{16}$/;
