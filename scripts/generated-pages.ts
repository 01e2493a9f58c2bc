/** Pages and pictures of `docs/`, rules for Prometheus and dashboards that come from code or text. */
import * as prettier from 'prettier'
import * as z from 'zod'
import { configDocument } from '../agent/control/config/document.ts'
import { centerSections } from '../global-mesh-center/config/schema.ts'
import { errorsDocument } from './docs-errors.ts'
import { metricsDocument } from './docs-metrics.ts'
import { observabilityFiles } from './observability/files.ts'
import { pictures } from './pictures.ts'

async function formatted(file: string, text: string): Promise<string> {
  return prettier.format(text, { ...(await prettier.resolveConfig(file)), filepath: file })
}

export const generatedPages: Readonly<Record<string, () => Promise<string>>> = {
  'docs/config.md': () => formatted('docs/config.md', configDocument(z.strictObject(centerSections))),
  'docs/errors.md': () => formatted('docs/errors.md', errorsDocument()),
  'docs/metrics.md': () => formatted('docs/metrics.md', metricsDocument()),
  ...pictures(),
  ...Object.fromEntries([...observabilityFiles()].map(([file, text]) => [file, () => formatted(file, text)])),
}
