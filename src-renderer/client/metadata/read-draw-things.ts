import { type ImageSettings, imageSettings, type Texts } from './image-settings.ts';
import { asObject, parseJsonObject } from './parse-json.ts';
import { parseA1111 } from './read-a1111.ts';

const XMP_KEYWORD = 'XML:com.adobe.xmp';

/** Draw Things writes an XMP packet: JSON as `exif:UserComment`, and a text like that of AUTOMATIC1111 as `dc:description`. */
export function readDrawThings(texts: Texts): ImageSettings | null {
  const xmp = texts.get(XMP_KEYWORD);
  if (xmp === undefined || !/CreatorTool[>="']+\s*Draw Things/.test(xmp)) return null;
  const params = parseJsonObject(propertyOf(xmp, 'exif:UserComment'));
  // the negative prompt is a line that begins with a minus
  if (params === null) return parseA1111((propertyOf(xmp, 'dc:description') ?? '').replaceAll(/^-.*$/gm, ''));
  const exact = asObject(params['v2']);
  const [, width, height] = /^(\d+)x(\d+)$/.exec(String(params['size'] ?? '')) ?? [];
  return imageSettings({
    prompt: params['c'],
    width: width ?? exact?.['width'],
    height: height ?? exact?.['height'],
    steps: params['steps'],
    seed: params['seed'],
  });
}

/** The text of an XMP property: an attribute, an element, or the first item of a list in it. */
function propertyOf(xmp: string, name: string): string | undefined {
  const [, attribute] = new RegExp(`\\s${name}=(?:"([^"]*)")`).exec(xmp) ?? [];
  if (attribute !== undefined) return decodeEntities(attribute);
  const [, content] = new RegExp(`<${name}(?:\\s[^>]*)?>([\\s\\S]*?)</${name}>`).exec(xmp) ?? [];
  if (content === undefined) return undefined;
  const [, item] = /<rdf:li(?:\s[^>]*)?>([\s\S]*?)<\/rdf:li>/.exec(content) ?? [];
  return decodeEntities((item ?? content).trim());
}

const entities: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

function decodeEntities(text: string): string {
  return text.replaceAll(/&(?:#x([0-9a-f]{1,6})|#(\d{1,7})|(\w+));/gi, (entity, hex?: string, decimal?: string, name?: string) => {
    if (name !== undefined) return entities[name] ?? entity;
    const code = hex === undefined ? Number(decimal) : Number.parseInt(hex, 16);
    return code <= 0x10ffff ? String.fromCodePoint(code) : entity;
  });
}
