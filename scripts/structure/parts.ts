/** The folders that a release is made of, from the one place that names them. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const file = join(import.meta.dirname, '../../tsconfig.build.json')

/** What Node runs, and what browsers do. */
export const productFolders = [...(JSON.parse(readFileSync(file, 'utf8')) as { include: string[] }).include, 'console']
/** What uses the product from its checkout. */
export const userFolders = ['bench', 'examples', 'scripts', 'test']
