import { ModelsSection } from './settings/models-section.tsx';

/** Models to use and to install. */
export function ModelsScreen() {
  return (
    <div className="mx-auto flex max-w-4xl flex-col gap-4 p-4 wide:p-8">
      <ModelsSection />
    </div>
  );
}
