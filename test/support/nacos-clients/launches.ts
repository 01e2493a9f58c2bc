/**
 * Where each foreign client comes from. Downloads and builds are cached under `.cache/nacos-clients`; what cannot be
 * had is named.
 */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cp } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { promisify, stripVTControlCharacters } from 'node:util'
import type { Launch } from './foreign-client.ts'

const run = promisify(execFile)
const here = import.meta.dirname
const cache = join(here, '../../../.cache/nacos-clients')

function onNode(driver: string, env: Readonly<Record<string, string>> = {}): Launch {
  return { command: process.execPath, args: ['--disable-warning=DEP0169', join(here, driver)], env }
}

/** npm `nacos`, a dependency of the project. */
export async function npmClient(): Promise<Launch> {
  return onNode('npm-driver.ts')
}

const rustVersion = '0.8.0'

/** The Rust client through its Node binding; prebuilt, so it is only there for some platforms. */
export async function rustClient(): Promise<Launch> {
  const folder = join(cache, `rust-${rustVersion}`)
  const binding = join(folder, 'node_modules/nacos-sdk-rust-binding-node/package.json')
  if (!existsSync(binding)) {
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true, type: 'commonjs' }))
    const wanted = `nacos-sdk-rust-binding-node@${rustVersion}`
    try {
      await run('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--save-exact', wanted], {
        cwd: folder,
      })
    } catch (error) {
      return { missing: `npm install ${wanted} failed: ${firstLine(error)}` }
    }
  }
  return onNode('rust-driver.ts', { NACOS_RUST_BINDING: folder })
}

/** The official Java client; needs java, javac and Maven once. */
export async function javaClient(version: string): Promise<Launch> {
  return await javaProgram(`java-${version}`, 'FaceClient', [
    ['com.alibaba.nacos', 'nacos-client', version],
    // 2.x names no logging implementation.
    ['org.slf4j', 'slf4j-nop', '1.7.36'],
  ])
}

type Artifact = readonly [group: string, name: string, version: string]

/** Compiles `java/<main>.java` against its dependencies; those without a version have it from the `managed` lists. */
async function javaProgram(
  name: string,
  main: string,
  dependencies: readonly Artifact[],
  managed: readonly Artifact[] = [],
): Promise<Launch> {
  const source = join(here, `java/${main}.java`)
  const pom = pomOf(dependencies, managed)
  const folder = join(cache, `${name}-${fingerprint(readFileSync(source), pom)}`)
  const classPathFile = join(folder, 'class-path.txt')
  const done = join(folder, 'compiled')
  if (!existsSync(done)) {
    mkdirSync(join(folder, 'classes'), { recursive: true })
    writeFileSync(join(folder, 'pom.xml'), pom)
    try {
      await run('mvn', mavenClassPath(folder, classPathFile), { maxBuffer: 16 * 1024 * 1024 })
      const classPath = readFileSync(classPathFile, 'utf8').trim()
      await run('javac', ['-nowarn', '-d', join(folder, 'classes'), '-cp', classPath, source])
    } catch (error) {
      return { missing: `${name} from Maven cannot be built: ${firstLine(error)}` }
    }
    writeFileSync(done, '')
  }
  const classPath = [join(folder, 'classes'), readFileSync(classPathFile, 'utf8').trim()].join(delimiter)
  return {
    command: 'java',
    args: [
      '-Xmx128m',
      '-XX:+UseSerialGC',
      '-XX:TieredStopAtLevel=1',
      // Caches and logs of the clients belong to nobody's home.
      `-Duser.home=${folder}`,
      '-cp',
      classPath,
      main,
    ],
    env: {},
  }
}

/** A Dubbo provider or consumer with Nacos or ZooKeeper as its registry; the arguments are its own. */
export async function dubboSample(version: string): Promise<Launch> {
  return await javaProgram(`dubbo-${version}`, 'DubboSample', [
    // first: ZooKeeper brings a logger that writes everything
    ['org.slf4j', 'slf4j-nop', '1.7.36'],
    ['org.apache.dubbo', 'dubbo', version],
    ['com.alibaba.nacos', 'nacos-client', '2.5.1'],
    ['org.apache.curator', 'curator-x-discovery', '5.1.0'],
    ['org.apache.zookeeper', 'zookeeper', '3.8.4'],
  ])
}

/** A SOFARPC provider or consumer with ZooKeeper as its registry; the arguments are its own. */
export async function sofaSample(version: string): Promise<Launch> {
  return await javaProgram(`sofa-${version}`, 'SofaSample', [
    ['org.slf4j', 'slf4j-nop', '1.7.36'],
    ['com.alipay.sofa', 'sofa-rpc-all', version],
    // it names no client of ZooKeeper, and finds nothing with Curator 5, which lacks a method that it calls
    ['org.apache.curator', 'curator-recipes', '4.3.0'],
    ['org.apache.zookeeper', 'zookeeper', '3.8.4'],
  ])
}

/**
 * A Spring Boot 3.2 web application that registers, discovers and is configured by the starters of Spring Cloud
 * Alibaba.
 */
export async function springCloudSample(version: string): Promise<Launch> {
  return await javaProgram(
    `spring-cloud-alibaba-${version}`,
    'SpringSample',
    [
      ['org.springframework.boot', 'spring-boot-starter-web', ''],
      ['org.springframework.cloud', 'spring-cloud-starter-loadbalancer', ''],
      ['com.alibaba.cloud', 'spring-cloud-starter-alibaba-nacos-discovery', ''],
      ['com.alibaba.cloud', 'spring-cloud-starter-alibaba-nacos-config', ''],
    ],
    [
      ['org.springframework.boot', 'spring-boot-dependencies', '3.2.12'],
      ['org.springframework.cloud', 'spring-cloud-dependencies', '2023.0.5'],
      ['com.alibaba.cloud', 'spring-cloud-alibaba-dependencies', version],
    ],
  )
}

/** The Go SDK; needs Go once. */
export async function goClient(): Promise<Launch> {
  const source = join(here, 'go')
  const folder = join(cache, `go-${fingerprint(readFileSync(join(source, 'main.go.txt')))}`)
  const binary = join(folder, 'face-client')
  if (!existsSync(binary)) {
    mkdirSync(folder, { recursive: true })
    await cp(join(source, 'main.go.txt'), join(folder, 'main.go'))
    await cp(join(source, 'go.mod.txt'), join(folder, 'go.mod'))
    try {
      await run('go', ['mod', 'tidy'], { cwd: folder })
      await run('go', ['build', '-o', binary, '.'], { cwd: folder, env: { ...process.env, CGO_ENABLED: '0' } })
    } catch (error) {
      return { missing: `nacos-sdk-go cannot be built: ${firstLine(error)}` }
    }
  }
  return { command: binary, args: [], env: { HOME: folder } }
}

function mavenClassPath(folder: string, target: string): string[] {
  return [
    '-B',
    '-ntp',
    '-q',
    '-f',
    join(folder, 'pom.xml'),
    'org.apache.maven.plugins:maven-dependency-plugin:3.6.1:build-classpath',
    '-DincludeScope=runtime',
    `-Dmdep.outputFile=${target}`,
  ]
}

function pomOf(dependencies: readonly Artifact[], managed: readonly Artifact[]): string {
  const one = ([group, artifact, version]: Artifact, more = ''): string =>
    `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId>` +
    `${version === '' ? '' : `<version>${version}</version>`}${more}</dependency>`
  const imports = managed.map((artifact) => one(artifact, '<type>pom</type><scope>import</scope>')).join('')
  return (
    '<project><modelVersion>4.0.0</modelVersion><groupId>test</groupId><artifactId>test</artifactId><version>1</version>' +
    `<dependencyManagement><dependencies>${imports}</dependencies></dependencyManagement>` +
    `<dependencies>${dependencies.map((artifact) => one(artifact)).join('')}</dependencies></project>`
  )
}

function fingerprint(...parts: readonly (Buffer | string)[]): string {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return hash.digest('hex').slice(0, 12)
}

/** The first line that says what went wrong, without colours; Maven writes it on standard output. */
function firstLine(error: unknown): string {
  const { stdout = '', stderr = '', message = String(error) } = error as Partial<Record<string, string>>
  const lines = stripVTControlCharacters([stdout, stderr, message].join('\n')).split('\n')
  return lines.find((line) => /error|fail|not found/i.test(line)) ?? message
}
