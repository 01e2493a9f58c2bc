/** The console: which page is shown, who is signed in, light or dark, English or Chinese. */
import { type ApiProblem, data, hasToken, keepToken, whenDenied } from './api.ts'
import { dropDrafts, hasDrafts } from './drafts.ts'
import { html, render, useEffect, useState, type View } from './html.ts'
import { Login } from './login.ts'
import { pages } from './pages.ts'
import type { About } from './shapes.ts'
import { isWord, language, speak, t, type Language } from './words.ts'

const retryMs = 2000

interface Place {
  readonly page: string
  /** What follows, decoded. */
  readonly rest: readonly string[]
}

/** `#/services/public%2FDEFAULT_GROUP%40%40orders` */
function here(): Place {
  const [page = '', ...rest] = location.hash.replace(/^#\/?/, '').split('/')
  return { page: page === '' ? 'overview' : page, rest: rest.map(decoded) }
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

function kept(name: string): string | null {
  return localStorage.getItem(`hostmesh.${name}`)
}

function keep(name: string, value: string): void {
  localStorage.setItem(`hostmesh.${name}`, value)
}

function dress(theme: string | null): void {
  const isDark = theme === 'dark' || (theme === null && matchMedia('(prefers-color-scheme: dark)').matches)
  document.documentElement.dataset['theme'] = isDark ? 'dark' : 'light'
}

function App(): View {
  const [place, setPlace] = useState(here)
  const [about, setAbout] = useState<About | undefined>(undefined)
  const [denied, setDenied] = useState<string | undefined>(undefined)
  const [problem, setProblem] = useState<string | undefined>(undefined)
  const [tongue, setTongue] = useState<Language>(language())
  const [round, setRound] = useState(0)

  useEffect(() => {
    const onHash = (): void => setPlace(here())
    addEventListener('hashchange', onHash)
    whenDenied((_why, hadToken) => {
      setAbout(undefined)
      setDenied(hadToken ? t('tokenOld') : t('tokenNeeded'))
    })
    return () => removeEventListener('hashchange', onHash)
  }, [])

  useEffect(() => {
    if (denied !== undefined || about !== undefined) return undefined
    let timer: ReturnType<typeof setTimeout> | undefined
    data<About>('about').then(
      (found) => {
        setProblem(undefined)
        setAbout(found)
      },
      (error: ApiProblem) => {
        if (error.status === 401) return
        setProblem(error.status === 0 ? t('noAnswer') : error.message)
        timer = setTimeout(() => setRound((last) => last + 1), retryMs)
      },
    )
    return () => clearTimeout(timer)
  }, [denied, about, round])

  const speakAs = (next: Language): void => {
    speak(next)
    keep('language', next)
    document.documentElement.lang = next === 'zh' ? 'zh-CN' : 'en'
    setTongue(next)
  }
  const turn = (): void => {
    const next = document.documentElement.dataset['theme'] === 'dark' ? 'light' : 'dark'
    keep('theme', next)
    dress(next)
    dispatchEvent(new Event('themechange'))
  }
  const leave = (): void => {
    keepToken(undefined)
    dropDrafts()
    setAbout(undefined)
    setDenied(t('tokenNeeded'))
  }

  if (denied !== undefined)
    return html`<${Login}
      why=${denied}
      onToken=${(token: string) => {
        keepToken(token)
        setDenied(undefined)
      }}
    />`
  if (about === undefined)
    return html`<main class="alone" aria-busy="true"><p role="status">${problem ?? t('loading')}</p></main>`

  const names = about.pages.filter((name) => isWord(name)).filter((name) => Object.hasOwn(pages, name))
  const shown = names.find((name) => name === place.page) ?? 'overview'
  const Page = pages[shown]!
  return html`
    <a class="skip" href="#content" onClick=${skip}>${t('skip')}</a>
    <header class="top">
      <span class="brand"><${Mark} />Hostmesh</span>
      <span class="node" title=${about.version}>
        <span class="role">${t(about.role)}</span> <strong>${about.host}</strong>
      </span>
      <span class="tools">
        <button
          type="button"
          lang=${tongue === 'en' ? 'zh-CN' : 'en'}
          onClick=${() => speakAs(tongue === 'en' ? 'zh' : 'en')}
        >
          ${t('language')}
        </button>
        <button type="button" onClick=${turn} aria-label=${t('theme')} title=${t('theme')}>◐</button>
        ${hasToken() ? html`<button type="button" onClick=${leave}>${t('leave')}</button>` : null}
      </span>
    </header>
    <nav class="side" aria-label=${t('navigation')}>
      ${names.map(
        (name) =>
          html`<a key=${name} href=${`#/${name}`} aria-current=${name === shown ? 'page' : undefined}> ${t(name)} </a>`,
      )}
    </nav>
    <main id="content" tabindex="-1" key=${`${shown} ${tongue}`}>
      <h1>${t(shown)}</h1>
      <${Page} about=${about} rest=${place.rest} />
    </main>
  `
}

function skip(event: Event): void {
  event.preventDefault()
  document.querySelector<HTMLElement>('#content')?.focus()
}

function Mark(): View {
  return html`<svg viewBox="0 0 24 24" width="22" height="22" aria-hidden="true">
    <path class="mark-line" d="M5 6 L12 12 L19 6 M5 18 L12 12 L19 18" />
    <circle class="mark-dot" cx="5" cy="6" r="2.6" />
    <circle class="mark-dot" cx="19" cy="6" r="2.6" />
    <circle class="mark-dot" cx="5" cy="18" r="2.6" />
    <circle class="mark-dot" cx="19" cy="18" r="2.6" />
    <circle class="mark-core" cx="12" cy="12" r="3.6" />
  </svg>`
}

addEventListener('beforeunload', (event) => {
  if (hasDrafts()) event.preventDefault()
})
dress(kept('theme'))
const wanted = kept('language') ?? (navigator.language.startsWith('zh') ? 'zh' : 'en')
speak(wanted === 'zh' ? 'zh' : 'en')
document.documentElement.lang = wanted === 'zh' ? 'zh-CN' : 'en'
render(html`<${App} />`, document.querySelector('#app')!)
