"""Looks at a lab's dashboard with a real browser; runs within `labctl enter TEAM`, with selenium and chromium.

    labctl enter team01 -- PYTHON tests/cloud/dashboard.py URL USER PASSWORD FOLDER

Logs in, opens overview and instances, and saves a picture of each page into the folder.
"""

# ruff: noqa: T201 - what it prints is its result
from __future__ import annotations

import sys
import time
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.expected_conditions import presence_of_element_located
from selenium.webdriver.support.ui import WebDriverWait

SECONDS = 600


def main(url: str, user: str, password: str, folder: Path) -> None:
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1280,900"):
        options.add_argument(argument)
    options.page_load_strategy = "none"  # the driver's own connection gives up long before an emulated cloud answers
    service = webdriver.ChromeService(executable_path="/usr/bin/chromedriver")
    browser = webdriver.Chrome(options=options, service=service)
    try:
        picture(browser, folder, f"{url}auth/login/", "login", "id_username")
        browser.find_element(By.ID, "id_username").send_keys(user)
        browser.find_element(By.ID, "id_password").send_keys(password)
        browser.find_element(By.ID, "loginBtn").click()
        picture(browser, folder, None, "overview", "navbar-collapse")
        picture(browser, folder, f"{url}project/instances/", "instances", "instances")
        print("instances:", browser.find_element(By.ID, "instances").text, flush=True)
    finally:
        browser.quit()


def picture(browser: webdriver.Chrome, folder: Path, url: str | None, name: str, wanted: str) -> None:
    """Open a page, or wait for the one that opens, until it is whole and has an element of that ID; save a picture."""
    began = time.monotonic()
    if url:
        browser.get(url)
    wait = WebDriverWait(browser, SECONDS)
    wait.until(presence_of_element_located((By.ID, wanted)))
    wait.until(lambda _: browser.execute_script("return document.readyState") == "complete")  # type: ignore[no-untyped-call]
    browser.save_screenshot(str(folder / f"{name}.png"))
    print(f"{time.monotonic() - began:8.1f} s  {name}: {browser.title}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], Path(sys.argv[4]))
