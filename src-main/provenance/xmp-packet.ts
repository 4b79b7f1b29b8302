import type { Recipe } from '#shared/domain/recipe.ts';

/** IPTC's terms for what AI made. An image that it changed is composite. Source: https://cv.iptc.org/newscodes/digitalsourcetype/ */
const sourceTypes: Record<Recipe['task_type'], string> = {
  text_to_image: 'trainedAlgorithmicMedia',
  image_to_image: 'compositeWithTrainedAlgorithmicMedia',
  inpaint: 'compositeWithTrainedAlgorithmicMedia',
  upscale: 'compositeWithTrainedAlgorithmicMedia',
};
const SOURCE_TYPE_URL = 'http://cv.iptc.org/newscodes/digitalsourcetype/';

/** What the marks say about an image. */
export type MarkedImage = Pick<Recipe, 'task_type' | 'program' | 'job_id' | 'pixels'>;

/**
 * The machine-readable marks of an AI image as an XMP packet: IPTC's digital source type, the tool, and the `AIGC` JSON of GB 45438-2025 (Label 1: made by AI).
 * It contains no text of a user, so it is well-formed and short: a JPEG segment holds 65,502 bytes of XMP. The number of the content is the hash of its pixels:
 * the job's id would let a reader test guesses of the prompt. Recipes of version 1 have no hash.
 * Sources: https://www.iptc.org/std/photometadata/specification, TC260-PG-20258A.
 */
export function xmpPacket({ task_type, program, job_id, pixels }: MarkedImage): string {
  const ProduceID = pixels?.sha256 ?? job_id;
  const aigc = { Label: '1', ContentProducer: program.name, ProduceID, ReservedCode1: '', ContentPropagator: '', PropagateID: '', ReservedCode2: '' };
  return `<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:xmp="http://ns.adobe.com/xap/1.0/"
    xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
    xmlns:TC260="http://www.tc260.org.cn/ns/AIGC/1.0/">
   <xmp:CreatorTool>${escapeXml(`${program.name} ${program.version}`)}</xmp:CreatorTool>
   <Iptc4xmpExt:DigitalSourceType>${SOURCE_TYPE_URL}${sourceTypes[task_type]}</Iptc4xmpExt:DigitalSourceType>
   <TC260:AIGC>${escapeXml(JSON.stringify(aigc))}</TC260:AIGC>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="r"?>`;
}

/** Whether a packet of any program says that AI made or changed the image. */
export function isMarked(xmp: string): boolean {
  return Object.values(sourceTypes).some((type) => xmp.includes(`${SOURCE_TYPE_URL}${type}`));
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
