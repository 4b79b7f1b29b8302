/** Client ids of the program's own window, whose jobs start before jobs of scripts. */
export const windowClientIdPattern = /^studio-[0-9a-f]{16}$/;
