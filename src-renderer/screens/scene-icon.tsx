export interface Scene {
  sky: string;
  ground: string;
  light: string;
  subject: string;
}

/** A scene in four colours: sky, ground, sun or moon, and the subject. It depicts an example, so its colours are not the theme's. */
export function SceneIcon({ scene }: { scene: Scene }) {
  return (
    <svg viewBox="0 0 40 40" aria-hidden className="size-12 shrink-0 rounded-md">
      <rect width="40" height="40" fill={scene.sky} />
      <circle cx="30" cy="10" r="4" fill={scene.light} />
      <path d="M0 27q10-4 20-1t20-1v15H0z" fill={scene.ground} />
      <path d="M9 33v-8a7.5 7.5 0 0 1 15 0v8z" fill={scene.subject} />
    </svg>
  );
}
